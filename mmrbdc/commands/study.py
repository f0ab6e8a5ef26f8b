"""Run a study: growth methods on one recipe at equal FLOPs, over seeds, then their ranking.

    mmrbdc study configs/studies/digits_deit.py --jobs 2
    mmrbdc study configs/studies/digits_deit.py --slurm PARTITION --gpus-per-run 1 --hours 24

Every run is a staged run in a work dir of its own. A run that fails is named and stops no other;
the same command with --resume goes on. Ends with a table, study.html and one csv of all numbers.
With --slurm every run is a job of Slurm (needs submitit) and this command follows them; Ctrl-C
leaves them in the queue, and --resume follows them again.
"""

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mmrbdc.commands.arguments import CommandParser, add_config_options, check_writable
from mmrbdc.shipped import shipped_root

if TYPE_CHECKING:
    from mmrbdc.studies.cluster import Queue
    from mmrbdc.studies.study_config import Grid

ROOT = shipped_root()
WIDTH = 140
_LEAST_HOURS = 0.2


def main(argv: Sequence[str] | None = None) -> None:
    """Run what is missing, then rank what is finished."""
    parser = CommandParser("study", __doc__)
    parser.add_argument("config", type=Path, help="study config")
    parser.add_argument("--resume", action="store_true", help="go on in the work dir")
    parser.add_argument("--jobs", type=int, help="runs at a time, one thread each (default 1)")
    slurm = parser.add_argument_group("on a cluster")
    slurm.add_argument("--slurm", metavar="PARTITION", help="send every run to Slurm")
    slurm.add_argument("--gpus-per-run", type=int, metavar="N", help="of a job (default 1)")
    slurm.add_argument(
        "--hours", type=float, metavar="H", help="of a job, which is requeued then (default 24)"
    )
    parser.add_argument("--work-dir", type=Path, help="default work_dirs/studies/<config name>")
    parser.add_argument("--out", type=Path, help="for table, page and csv; default the work dir")
    parser.add_argument("--report-only", action="store_true", help="run nothing")
    add_config_options(parser, "override the recipe")
    args = parser.parse_args(argv)
    if args.out:
        check_writable("--out", args.out)
    from mmrbdc.analysis.reports.study_page import ranking_table, write_study_report
    from mmrbdc.analysis.study.ranking import rank
    from mmrbdc.analysis.study.variants import read_study
    from mmrbdc.datasets import check_config_data
    from mmrbdc.studies.run import check_folder, check_out, finished_runs, ranked_runs, run_grid
    from mmrbdc.studies.study_config import read_grid
    from mmrbdc.terminal import console

    if args.jobs is not None and args.jobs < 1:
        raise ValueError(f"--jobs is {args.jobs}; one run at a time is the least")
    _check_slurm(args)
    folder = args.work_dir or Path("work_dirs/studies") / args.config.stem
    grid = read_grid(args.config, ROOT, args.cfg_options)
    if args.out:
        check_out(grid, args.out)
    failed = []
    if args.report_only:
        check_folder(grid, folder)
    else:
        check_config_data(grid.variants[0].config)
        queue = partial(_queue, args, grid, folder) if args.slurm else None
        failed = run_grid(
            grid, folder, ROOT, jobs=args.jobs or 1, resume=args.resume, open_queue=queue
        )
    done, missing = finished_runs(grid, folder, ROOT)
    if done:
        study = read_study(done)
        names = [path.name for path in missing]
        ranking = rank(study, grid.budget, ranked_runs(grid, folder), names)
        console(WIDTH).print(ranking_table(study, ranking))
        for path in write_study_report(study, ranking, args.out or folder):
            print(path)
    if failed:
        raise ValueError(
            f"{len(failed)} runs failed: {', '.join(failed)}; see {folder}/<run>.log, then give "
            "the command again with --resume: finished runs are kept"
        )
    if not done:
        raise ValueError(f"{folder} holds no finished run of this study")


def _check_slurm(args: argparse.Namespace) -> None:
    if args.slurm is None:
        for option in ("gpus_per_run", "hours"):
            if getattr(args, option) is not None:
                name = option.replace("_", "-")
                raise ValueError(f"--{name} is of a job of Slurm; give --slurm PARTITION too")
        return
    if args.jobs is not None or args.report_only:
        other = "--jobs" if args.jobs is not None else "--report-only"
        raise ValueError(f"--slurm and {other} exclude each other: Slurm says how many runs go on")
    if args.gpus_per_run is not None and args.gpus_per_run < 0:
        raise ValueError(f"--gpus-per-run is {args.gpus_per_run}; 0 trains on processors")
    if args.hours is not None and not _LEAST_HOURS <= args.hours < float("inf"):
        raise ValueError(
            f"--hours is {args.hours:g}; {_LEAST_HOURS} is the least, since a job is told to save "
            "two minutes before"
        )
    from mmrbdc.studies.cluster import require_slurm

    require_slurm()


def _queue(args: argparse.Namespace, grid: "Grid", folder: Path) -> "Queue":
    """Slurm's, with jobs that have a processor for each process and each of its data workers."""
    from mmrbdc.studies.cluster import Queue, slurm_executor

    gpus = 1 if args.gpus_per_run is None else args.gpus_per_run
    workers = grid.variants[0].config.train_dataloader.get("num_workers", 0)
    hours = 24.0 if args.hours is None else args.hours
    cpus = max(1, gpus) * (1 + workers)
    executor = slurm_executor(folder, args.slurm, gpus=gpus, cpus=cpus, hours=hours)
    return Queue(executor, grid.name, max(1, gpus))
