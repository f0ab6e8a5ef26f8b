"""Run what is missing of a grid, each run a staged run in a work dir of its own.

Variants whose first stages are the same train it once for each seed: the others begin with a copy,
and it is charged to each of them in full.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from mmrbdc.plan import PlanError
from mmrbdc.runs.work_dir import FORMAT
from mmrbdc.studies.cluster import Queue
from mmrbdc.studies.jobs import Job, run_jobs
from mmrbdc.studies.study_config import Grid, PlannedVariant, runs_of
from mmrbdc.weights import write_json, write_text

MARK = "study.json"


def run_grid(
    grid: Grid,
    folder: Path,
    root: Path,
    *,
    jobs: int = 1,
    resume: bool = False,
    open_queue: Callable[[], Queue] | None = None,
) -> list[str]:
    """Run a study and return the names of the runs that failed.

    Args:
        grid: the study.
        folder: where configs, work dirs and logs go.
        root: the repository, whose tools train and test.
        jobs: runs at a time, one thread each.
        open_queue: opens a scheduler's queue that takes all runs instead.
        resume: go on in a folder that holds this study. What the grid has gained is added; what
            it has lost stays on disk and is left out of the report.

    Raises:
        PlanError: the folder holds another study, or this one and ``resume`` is off, or a run of
            the same name with other settings.
    """
    _claim(grid, folder, resume)
    for path, text in _configs(grid, folder).items():
        write_text(path, text)
    owners: dict[tuple[str, int], Job] = {}
    first, others = [], []
    owner_of: dict[Path, Path] = {}
    for variant, seed in runs_of(grid):
        job = _job(variant, seed, folder, root)
        owner = owners.setdefault((variant.first_stage, seed), job)
        if owner is job:
            first.append(job)
        else:
            others.append(replace(job, prepare=partial(_copy_first_stage, owner, job.folder)))
            owner_of[job.folder] = owner.folder
    if open_queue is None:
        failed = run_jobs(first, others, at_a_time=jobs)
    else:
        queue = open_queue()
        sent = {job.folder: queue.send(job) for job in first}
        waiting = [*sent.values(), *(queue.send(job, sent[owner_of[job.folder]]) for job in others)]
        failed = run_jobs(waiting, at_a_time=len(waiting), interrupt=queue.leave)
    return [job.folder.name for job in failed]


def config_path(folder: Path, variant: PlannedVariant) -> Path:
    """Where a variant's staged config is; a method's models have one name at all budgets."""
    return folder / "configs" / f"budget{variant.budget:g}" / f"{variant.label}.py"


def work_dir(folder: Path, variant: PlannedVariant, seed: int) -> Path:
    """Where a run is."""
    return folder / f"{variant.name}_seed{seed}"


def ranked_runs(grid: Grid, folder: Path) -> dict[str, list[Path]]:
    """Work dirs of every method's runs at the budget that methods are ranked at."""
    found: dict[str, list[Path]] = {variant.label: [] for variant in grid.variants}
    for variant, seed in runs_of(grid):
        if variant.budget == grid.budget:
            found[variant.label].append(work_dir(folder, variant, seed))
    return found


def finished_runs(grid: Grid, folder: Path, root: Path) -> tuple[list[Path], list[Path]]:
    """Work dirs of the grid's runs: those that are trained and tested, and the others."""
    jobs = [_job(variant, seed, folder, root) for variant, seed in runs_of(grid)]
    done = [job.folder for job in jobs if job.done]
    return done, [job.folder for job in jobs if job.folder not in done]


def _configs(grid: Grid, folder: Path) -> dict[Path, str]:
    return {config_path(folder, v): v.config.pretty_text for v in grid.variants}


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
    check_folder(grid, folder)
    if not resume:
        raise PlanError(f"{folder} holds this study; add --resume to go on, or choose another "
                        "--work-dir")  # fmt: skip


def check_folder(grid: Grid, folder: Path) -> None:
    """Refuse a folder that does not hold this study with these settings.

    Raises:
        PlanError: it holds no study, another one, or runs of other settings.
    """
    mark = folder / MARK
    if not mark.is_file():
        raise PlanError(f"{folder} holds no study; leave --report-only out to run it there")
    _check_mark(grid, mark, "--work-dir")
    for path, text in _configs(grid, folder).items():
        begun = any(folder.glob(f"{path.stem}_{path.parent.name}_seed*/"))
        if begun and path.is_file() and path.read_text() != text:
            raise PlanError(
                f"{path} was trained with other settings than {path.stem} has now; choose another "
                "--work-dir, or give the method another name: results of two settings are never "
                "mixed"
            )


def check_out(grid: Grid, out: Path) -> None:
    """Refuse a folder for the report that is another study's.

    Raises:
        PlanError: it is.
    """
    if (out / MARK).is_file():
        _check_mark(grid, out / MARK, "--out")


def _check_mark(grid: Grid, mark: Path, option: str) -> None:
    expected = dict(name=grid.name, recipe=grid.recipe)
    try:
        found = json.loads(mark.read_text())
    except ValueError as error:
        raise PlanError(
            f"{mark} is damaged ({error}); if the folder is this study's, write "
            f"{json.dumps(expected)} into it, else choose another {option}"
        ) from error
    if found != expected:
        raise PlanError(
            f"{mark.parent} holds the study {found['name']!r} of {found['recipe']}, not "
            f"{grid.name!r} of {grid.recipe}; choose another {option}"
        )


def _job(variant: PlannedVariant, seed: int, folder: Path, root: Path) -> Job:
    own = work_dir(folder, variant, seed)
    place = [str(config_path(folder, variant)), "--work-dir", str(own)]
    train = [str(root / "tools/train.py"), *place, "--seed", str(seed), "--resume"]
    test = [str(root / "tools/test.py"), *place]
    # Neither path as it was typed nor the checkout's place changes what a run is.
    made_by = dict(config=config_path(Path(), variant).as_posix(), seed=seed)
    return Job(own, [train, test], variant.budget, made_by=made_by, result="test.json")


def _copy_first_stage(owner: Job, own: Path) -> None:
    """Begin with the first stage of another run, if that is finished, by this version."""
    plan = owner.folder / "plan.json"
    ours = plan.is_file() and json.loads(plan.read_text()).get("format") == FORMAT
    for stage in owner.folder.glob("stage0_*") if owner.done and ours else ():
        if not (own / stage.name).exists():
            part = own / f".{stage.name}"
            shutil.rmtree(part, ignore_errors=True)
            shutil.copytree(stage, part)
            part.rename(own / stage.name)
