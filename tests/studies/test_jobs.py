"""Runs of a study side by side: what is printed, what begins when, and what a failure stops."""

import re

import pytest

from mmrbdc.studies.jobs import Job, run_jobs


@pytest.fixture
def script(tmp_path):
    """A script that ends with the code it is given."""
    path = tmp_path / "end.py"
    path.write_text("import sys\nsys.exit(int(sys.argv[1]))\n")
    return str(path)


def job(tmp_path, script, name, code=0, **kwargs):
    return Job(tmp_path / name, [[script, str(code)]], 1.0, **kwargs)


def test_groups_are_counted_as_one_and_end_one_after_another(tmp_path, script, capsys):
    first = [job(tmp_path, script, name) for name in "ab"]
    seen = []
    later = job(tmp_path, script, "c", prepare=lambda: seen.extend(j.done for j in first))
    assert run_jobs(first, [later], at_a_time=2) == []
    assert seen == [True, True]
    lines = capsys.readouterr().out.splitlines()
    assert [re.match(r"\[\d/\d\]", line)[0] for line in lines] == ["[1/3]", "[2/3]", "[3/3]"]
    assert ["min left" in line for line in lines] == [True, True, False]


def test_a_failure_is_returned_and_the_next_group_still_runs(tmp_path, script, capsys):
    bad, good, later = (job(tmp_path, script, n, c) for n, c in (("a", 3), ("b", 0), ("c", 0)))
    assert run_jobs([bad, good], [later], at_a_time=1) == [bad]
    assert [j.done for j in (bad, good, later)] == [False, True, True]
    assert re.findall(r"(\w): (\w+)", capsys.readouterr().out) == [
        ("a", "FAILED"), ("b", "finished"), ("c", "finished")]  # fmt: skip


def test_a_failure_s_last_error_is_printed(tmp_path, capsys):
    path = tmp_path / "fail.py"
    path.write_text("print('error: first')\nprint('error: no disk')\nraise SystemExit(2)\n")
    failing = Job(tmp_path / "a", [[str(path)]], 1.0)
    assert run_jobs([failing], at_a_time=1) == [failing]
    assert re.search(r"a: FAILED in \S+ min: no disk$", capsys.readouterr().out.strip())


def test_the_time_left_is_of_what_is_not_done(tmp_path, script, capsys):
    jobs = [job(tmp_path, script, name) for name in "abcd"]
    run_jobs(jobs[2:], at_a_time=1)
    capsys.readouterr()
    run_jobs(jobs, at_a_time=1)
    lines = capsys.readouterr().out.splitlines()
    assert ["min left" in line for line in lines] == [True, False, False, False]


def test_what_is_done_is_kept_and_takes_no_part_in_the_time_left(tmp_path, script, capsys):
    jobs = [job(tmp_path, script, name) for name in "ab"]
    run_jobs(jobs[:1], at_a_time=1)
    capsys.readouterr()
    assert run_jobs(jobs, at_a_time=1) == []
    assert capsys.readouterr().out.splitlines()[0] == "[1/2] a: kept"
