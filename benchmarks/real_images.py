"""RBDC against scratch on real images: budgets, ratios and the saving at equal accuracy.

    python benchmarks/real_images.py --data data/cifar10 --seeds 0 1 2 --jobs 2

Trains and tests, for every seed, scratch at several shares of its recipe's FLOPs and RBDC (one
step and two, where the study has both) at smaller shares; at the first of those also over ratios
of narrow to wide epochs, one step. Lengths are solved, so that equal shares are equal FLOPs. Then
draws the figures and computes the saving with tools/analysis_tools/accuracy_vs_flops.py.

A run is a subprocess of one thread; --jobs of them go at a time. A run that fails is named at the
end and stops no other; the same command goes on where it was.
"""

import argparse
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmrbdc.cli import run_cli
from mmrbdc.engine.configs.loading import load_config
from mmrbdc.engine.cost.plan_inputs import plan_inputs
from mmrbdc.methods import parse_protocol
from mmrbdc.plan import DEFAULT_RATIO, PlanError, solve_lengths
from mmrbdc.studies.jobs import Job, run_jobs

ROOT = Path(__file__).resolve().parent.parent
STUDIES = ("deit-mini_cifar10", "resnet-mini_cifar10", "deit-s_imagenette")


@dataclass(frozen=True)
class Run:
    """One training, with the test that follows it.

    Attributes:
        name: of its work dir.
        config: that it trains.
        lengths: epochs of its stages.
        seed: of everything that is drawn.
        budget: share of the reference's FLOPs, for the time left.
    """

    name: str
    config: Path
    lengths: tuple[float, ...]
    seed: int
    budget: float


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--study", choices=STUDIES, default=STUDIES[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with train/ and test/, "
                        "or val/, of class folders")  # fmt: skip
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--budgets", type=float, nargs="+", default=[0.25, 0.5, 0.75, 1.0],
                        help="of scratch, as shares of its recipe's FLOPs")  # fmt: skip
    parser.add_argument("--rbdc-budgets", type=float, nargs="+", default=[0.5, 0.75],
                        help="of RBDC; the ratios are swept at the first")  # fmt: skip
    parser.add_argument("--ratios", type=float, nargs="+", default=[0.5, 1.0, 1.5, 2.0, 3.0])
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
    parser.add_argument("--workers", type=int, default=0, help="data workers of a run")
    parser.add_argument("--work-dir", type=Path, help="default work_dirs/real_images/<study>")
    parser.add_argument("--out", type=Path, help="default docs/results/real_images/<study>")
    parser.add_argument("--cfg-options", nargs="+", default=[], metavar="KEY=VALUE",
                        help="for every run")  # fmt: skip
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Run what is missing, then the analysis of all that is finished."""
    args = parse_args(argv)
    if not (args.data / "train").is_dir():
        raise ValueError(f"--data {args.data}: there is no folder {args.data / 'train'}")
    work_dir = args.work_dir or Path("work_dirs/real_images") / args.study
    out = args.out or Path("docs/results/real_images") / args.study
    runs = plan_runs(args)
    jobs = [Job(work_dir / r.name, commands(r, args, work_dir), r.budget) for r in runs]
    failed = [job.folder.name for job in run_jobs(jobs, at_a_time=args.jobs)]
    done = [str(job.folder) for job in jobs if job.folder.name not in failed]
    if done:
        out.mkdir(parents=True, exist_ok=True)
        (out / "command.txt").write_text(shlex.join(["python", *sys.orig_argv[1:]]) + "\n")
        analyse = str(ROOT / "tools/analysis_tools/accuracy_vs_flops.py")
        code = subprocess.run([sys.executable, analyse, *done, "--out", str(out)]).returncode
        if code and not failed:
            raise ValueError(f"the runs are finished, but {analyse} ended with code {code}")
    if failed:
        raise ValueError(
            f"{len(failed)} of {len(runs)} runs failed: {', '.join(failed)}; see "
            f"{work_dir}/<run>.log, then give the command again: finished runs are kept"
        )


def plan_runs(args: argparse.Namespace) -> list[Run]:
    """List the runs of a study, seed by seed, the longest first.

    Raises:
        ValueError: a budget that leaves a stage without an iteration.
    """
    arch, _, data = args.study.partition("_")
    wanted = [(f"configs/baselines/{arch}_scratch_{data}.py", "scratch", budget, None)
              for budget in args.budgets]  # fmt: skip
    for steps in ("1step", "2step"):
        config = f"configs/rbdc/{arch}_{steps}_{data}.py"
        if not (ROOT / config).is_file():
            continue
        wanted += [(config, steps, budget, DEFAULT_RATIO) for budget in args.rbdc_budgets]
        # The ratio is swept with the fewest steps that the study has.
        if not any(kind == "1step" for _, kind, *_ in wanted) or steps == "1step":
            wanted += [(config, steps, args.rbdc_budgets[0], ratio) for ratio in args.ratios]
    samples = sum(1 for path in (args.data / "train").glob("*/*") if path.is_file())
    lengths = {job: _lengths(*job, samples) for job in dict.fromkeys(wanted)}
    runs = []
    for seed in args.seeds:
        for job in sorted(lengths, key=lambda job: -job[2]):
            config, kind, budget, ratio = job
            name = f"{kind}_budget{budget:g}" + (f"_ratio{ratio:g}" if ratio else "")
            runs.append(Run(f"{name}_seed{seed}", ROOT / config, lengths[job], seed, budget))
    return runs


def _lengths(
    config: str, kind: str, budget: float, ratio: float | None, samples: int
) -> tuple[float, ...]:
    cfg = load_config(str(ROOT / config))
    protocol = parse_protocol(cfg, name=Path(config).stem)
    inputs = plan_inputs(cfg, protocol, samples=samples)
    try:
        return tuple(solve_lengths(protocol, **inputs, budget=budget, ratio=ratio or DEFAULT_RATIO))
    except PlanError as error:
        raise ValueError(f"{kind} at a budget of {budget:g}: {error}") from error


def commands(run: Run, args: argparse.Namespace, work_dir: Path) -> list[list[str]]:
    """The training and the test of a run, as arguments of Python."""
    options = []
    for split in ("train", "val", "test"):
        options += [
            f"{split}_dataloader.dataset.data_root={args.data}",
            f"{split}_dataloader.num_workers={args.workers}",
        ]
    place = [str(run.config), "--work-dir", str(work_dir / run.name)]
    # Accuracy is compared at the end: what lies between is validated too rarely to matter.
    lengths = [f"stages.{i}.epochs={length}" for i, length in enumerate(run.lengths)]
    lengths += ["train_cfg.val_interval=1000000"]
    train = [*place, "--seed", str(run.seed), "--resume"]
    return [
        [str(ROOT / "tools/train.py"), *train, "--cfg-options", *options, *lengths,
         *args.cfg_options],
        [str(ROOT / "tools/test.py"), *place, "--cfg-options", *options, *args.cfg_options],
    ]  # fmt: skip


if __name__ == "__main__":
    run_cli(main)
