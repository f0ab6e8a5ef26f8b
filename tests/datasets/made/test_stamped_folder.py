"""Made folders are complete and current, or made again; what is not ours is never touched."""

import os

import pytest

from mmrbdc.datasets.errors import DataError
from mmrbdc.datasets.made.stamped_folder import STAMP, make_folder

SOME = {"count": 3, "seed": 0}


def write_three(folder):
    """Three files, one of them in a sub-folder."""
    (folder / "sub").mkdir()
    for name in ("a", "b", "sub/c"):
        (folder / name).write_text(name)


def refuse(folder):
    """A writer that must not be called."""
    raise AssertionError(f"{folder} was to be left as it is")


def test_second_call_with_same_parameters_writes_nothing(tmp_path):
    assert make_folder(tmp_path / "data", SOME, write_three)
    assert not make_folder(tmp_path / "data", SOME, refuse)
    assert sorted(os.listdir(tmp_path)) == ["data"]


def test_new_parameters_lost_files_and_force_make_it_again(tmp_path):
    root = tmp_path / "data"
    make_folder(root, SOME, write_three)
    assert make_folder(root, {**SOME, "seed": 1}, write_three)
    (root / "sub" / "c").unlink()
    assert make_folder(root, {**SOME, "seed": 1}, write_three)
    assert (root / "sub" / "c").exists()
    assert make_folder(root, {**SOME, "seed": 1}, write_three, force=True)


def test_empty_folder_is_filled(tmp_path):
    (tmp_path / "data").mkdir()
    assert make_folder(tmp_path / "data", SOME, write_three)


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("stamp", [None, "no json", "[]"])
def test_folder_without_our_stamp_is_left_alone(tmp_path, stamp, force):
    (tmp_path / "mine.txt").write_text("dear")
    if stamp is not None:
        (tmp_path / STAMP).write_text(stamp)
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(DataError, match="not made by this program"):
        make_folder(tmp_path, SOME, refuse, force=force)
    assert sorted(os.listdir(tmp_path)) == before


def test_failing_writer_leaves_the_old_folder_and_nothing_else(tmp_path):
    root = tmp_path / "data"

    def fail(folder):
        (folder / "a").write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        make_folder(root, SOME, fail)
    assert os.listdir(tmp_path) == []
    make_folder(root, SOME, write_three)
    with pytest.raises(OSError, match="disk full"):
        make_folder(root, {**SOME, "seed": 1}, fail)
    assert os.listdir(tmp_path) == ["data"]
    assert not make_folder(root, SOME, refuse)


def test_leftover_of_a_killed_process_is_removed_and_of_a_living_one_is_not(tmp_path):
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    (tmp_path / f".data.partial-{child}").mkdir()
    living = tmp_path / f".data.partial-{os.getppid()}"
    living.mkdir()
    make_folder(tmp_path / "data", SOME, write_three)
    assert sorted(os.listdir(tmp_path)) == sorted(["data", living.name])
