"""Run a study: growth methods on one recipe at equal FLOPs, over seeds, then their ranking.

    mmrbdc study configs/studies/digits_deit.py --jobs 2

Every run is a staged run in a work dir of its own. A run that fails is named and stops no other;
the same command with --resume goes on. Ends with a table, study.html and one csv of all numbers.
"""

from collections.abc import Sequence
from pathlib import Path

from mmrbdc.commands.arguments import CommandParser, add_config_options, check_writable
from mmrbdc.shipped import shipped_root

ROOT = shipped_root()
WIDTH = 140


def main(argv: Sequence[str] | None = None) -> None:
    """Run what is missing, then rank what is finished."""
    parser = CommandParser("study", __doc__)
    parser.add_argument("config", type=Path, help="study config")
    parser.add_argument("--resume", action="store_true", help="go on in the work dir")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, one thread each")
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

    if args.jobs < 1:
        raise ValueError(f"--jobs is {args.jobs}; one run at a time is the least")
    folder = args.work_dir or Path("work_dirs/studies") / args.config.stem
    grid = read_grid(args.config, ROOT, args.cfg_options)
    if args.out:
        check_out(grid, args.out)
    failed = []
    if args.report_only:
        check_folder(grid, folder)
    else:
        check_config_data(grid.variants[0].config)
        failed = run_grid(grid, folder, ROOT, jobs=args.jobs, resume=args.resume)
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
