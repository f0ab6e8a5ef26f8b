"""Run what is missing of a grid, each run a staged run in a work dir of its own.

Variants whose first stages are the same train it once for each seed: the others begin with a copy,
and it is charged to each of them in full.
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from mmrbdc.plan import PlanError
from mmrbdc.weights import write_json

from .grid import Grid, Variant, runs_of
from .jobs import Job, run_commands, run_jobs

MARK = "study.json"
FINISHED = "command.json"


def run_grid(
    grid: Grid, folder: Path, root: Path, *, jobs: int = 1, resume: bool = False
) -> list[str]:
    """Run a study and return the names of the runs that failed.

    Args:
        grid: the study.
        folder: where configs, work dirs and logs go.
        root: the repository, whose tools train and test.
        jobs: runs at a time, one thread each.
        resume: go on in a folder that holds this study. What the grid has gained is added; what
            it has lost stays on disk and is left out of the report.

    Raises:
        PlanError: the folder holds another study, or this one and ``resume`` is off, or a run of
            the same name with other settings.
    """
    _claim(grid, folder, resume)
    for path, text in _config_files(grid, folder).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    runs = runs_of(grid)
    owners: dict[tuple[str, int], Variant] = {}
    for variant, seed in runs:
        owners.setdefault((variant.first_stage, seed), variant)
    first = [run for run in runs if owners[run[0].first_stage, run[1]] is run[0]]
    others = [run for run in runs if run not in first]

    def job(variant: Variant, seed: int) -> Job:
        owner = work_dir(folder, owners[variant.first_stage, seed], seed)
        return Job(
            name=work_dir(folder, variant, seed).name,
            cost=variant.budget,
            work=lambda: _train_and_test(variant, seed, folder, root, owner),
            done=lambda: _finished(variant, seed, folder, root),
        )

    ok = [*run_jobs([job(*run) for run in first], jobs)] if first else []
    ok += run_jobs([job(*run) for run in others], jobs) if others else []
    return [
        work_dir(folder, *run).name
        for run, good in zip(first + others, ok, strict=True)
        if not good
    ]


def config_path(folder: Path, variant: Variant) -> Path:
    """Where a method's staged config is; budgets differ in --cfg-options alone."""
    return folder / "configs" / f"{variant.label}.py"


def work_dir(folder: Path, variant: Variant, seed: int) -> Path:
    """Where a run is."""
    return folder / f"{variant.name}_seed{seed}"


def finished_runs(grid: Grid, folder: Path, root: Path) -> list[Path]:
    """Work dirs of the grid's runs that are trained and tested."""
    return [
        work_dir(folder, variant, seed)
        for variant, seed in runs_of(grid)
        if _finished(variant, seed, folder, root)
    ]


def _claim(grid: Grid, folder: Path, resume: bool) -> None:
    """Make the folder this study's, or refuse."""
    mark = folder / MARK
    if not mark.is_file():
        if folder.is_dir() and any(folder.iterdir()):
            raise PlanError(
                f"{folder} holds something else than a study; choose another --work-dir"
            )
        write_json(mark, dict(name=grid.name, recipe=grid.recipe))
        return
    found = json.loads(mark.read_text())
    if found != dict(name=grid.name, recipe=grid.recipe):
        raise PlanError(
            f"{folder} holds the study {found['name']!r} of {found['recipe']}, not {grid.name!r} "
            f"of {grid.recipe}; choose another --work-dir"
        )
    if not resume:
        raise PlanError(f"{folder} holds this study; add --resume to go on, or choose another "
                        "--work-dir")  # fmt: skip
    for path, text in _config_files(grid, folder).items():
        begun = any(folder.glob(f"{path.stem}_budget*_seed*/"))
        if begun and path.is_file() and path.read_text() != text:
            raise PlanError(
                f"{path} was trained with other settings than {path.stem} has now; choose another "
                "--work-dir, or give the method another name: results of two settings are never "
                "mixed"
            )


def _config_files(grid: Grid, folder: Path) -> dict[Path, str]:
    """Each method's config, with the lengths of its largest budget."""
    return {config_path(folder, v): v.config.pretty_text for v in grid.variants}


def _commands(variant: Variant, seed: int, folder: Path, root: Path) -> list[list[str]]:
    place = [str(config_path(folder, variant)), "--work-dir", str(work_dir(folder, variant, seed))]
    train = [str(root / "tools/train.py"), *place, "--seed", str(seed), "--resume"]
    train += ["--cfg-options", *variant.lengths]
    return [train, [str(root / "tools/test.py"), *place]]


def _train_and_test(variant: Variant, seed: int, folder: Path, root: Path, owner: Path) -> bool:
    own = work_dir(folder, variant, seed)
    if owner != own:
        _copy_first_stage(owner, own)
    commands = _commands(variant, seed, folder, root)
    ok = run_commands(commands, folder / f"{own.name}.log")
    if ok:
        write_json(own / FINISHED, commands)
    return ok


def _finished(variant: Variant, seed: int, folder: Path, root: Path) -> bool:
    path = work_dir(folder, variant, seed) / FINISHED
    return path.is_file() and json.loads(path.read_text()) == _commands(variant, seed, folder, root)


def _copy_first_stage(owner: Path, own: Path) -> None:
    for stage in owner.glob("stage0_*"):
        target = own / stage.name
        if not target.exists() and (owner / FINISHED).is_file():
            part = own / f".{stage.name}"
            shutil.rmtree(part, ignore_errors=True)
            shutil.copytree(stage, part)
            part.rename(target)


def holes(grid: Grid, folder: Path, root: Path) -> Sequence[str]:
    """Names of the grid's runs that are not finished."""
    done = set(finished_runs(grid, folder, root))
    return [
        path.name
        for variant, seed in runs_of(grid)
        if (path := work_dir(folder, variant, seed)) not in done
    ]
