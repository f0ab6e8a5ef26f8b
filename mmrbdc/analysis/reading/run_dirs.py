"""Work dirs of runs, found below the folders that a user names."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from mmrbdc.runs.errors import AnalysisError
from mmrbdc.runs.pretraining import TRAINED_BY
from mmrbdc.runs.records import read_record
from mmrbdc.shipped import command

_MARKS = ("plan.json", "test.json", "wall.json", "load_report.json")


def find_runs(work_dirs: Sequence[Path]) -> list[Path]:
    """List the work dirs of runs, each once.

    Args:
        work_dirs: work dirs of runs, or folders with such work dirs below them.

    Raises:
        AnalysisError: a folder is missing or holds no run; some runs were not tested, which are
            all named with the commands that test them.
    """
    if not work_dirs:
        raise AnalysisError("no work dirs to compare; name at least one")
    found: dict[Path, Path] = {}
    for path in work_dirs:
        if not path.is_dir():
            raise AnalysisError(f"{path} is not a folder; name the work dirs of finished runs")
        inside = list(_below(path))
        if not inside:
            raise AnalysisError(
                f"{path} holds no run: neither plan.json (a pretraining by {TRAINED_BY}) nor "
                "test.json, wall.json or load_report.json (a detector)"
            )
        found |= {run.resolve(): run for run in inside}
    runs = list(found.values())
    _check_tested(runs)
    return runs


def _below(path: Path) -> Iterator[Path]:
    if any((path / mark).exists() for mark in _MARKS):
        yield path
        return
    for child in sorted(path.iterdir()):
        if child.is_dir() and not child.is_symlink():
            yield from _below(child)


def _check_tested(runs: Sequence[Path]) -> None:
    untested = [run for run in runs if not (run / "test.json").exists()]
    if not untested:
        return
    if len(untested) == 1:
        (run,) = untested
        raise AnalysisError(f"{run / 'test.json'} is missing; it is written by {_command(run)}")
    listed = "".join(f"\n  {_command(run)}" for run in untested)
    raise AnalysisError(f"{len(untested)} runs have no test.json yet; it is written by{listed}")


def _command(run: Path) -> str:
    """Return the command that tests a run, after the one that ends its training."""
    if (run / "plan.json").exists():
        record = read_record(run / "plan.json", TRAINED_BY)
        name = record.text("name")
        # Older records do not say it.
        config = record.text("config") if record.has("config") else f"CONFIG_OF_{name}"
        finished = (run / f"{name}.json").exists()
    else:
        dumped = sorted(run.glob("*.py"), key=lambda path: path.stat().st_mtime)
        config = str(dumped[-1]) if dumped else "CONFIG"
        finished = (run / "wall.json").exists()
    test = command("test", config, "--work-dir", run)
    if finished:
        return test
    return f"{command('train', config, '--work-dir', run, '--resume')} && {test}"
