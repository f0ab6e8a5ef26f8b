"""Choices beside the paper's plain rule for the start after a junction, over several seeds.

    python benchmarks/starts.py --jobs 2

Trains and scores a micro DeiT on handwritten digits once a choice and seed; --config and --data
name another protocol and its images. Writes <out>/results.json, with every run, and <out>/table.md:
the children's accuracy before their first step with their parents' ensemble and its gain over the
parents' mean, the final top-1 of raw weights on the validation split (so that the test split stays
untouched by choices), and its difference to the plain rule, paired by seed. Choices that differ
after the first junction only share the first stage. Interrupted, the same command goes on.

The p values are of exact sign-flip tests: with n seeds they cannot be below 2 / 2**n, so a claim at
p < 0.01 takes eight seeds.
"""

import argparse
import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mmrbdc.analysis.compare.groups import PairedDifference, Spread
from mmrbdc.cli import run_cli
from mmrbdc.engine.configs.loading import load_config
from mmrbdc.engine.hooks.checkpoint import numbered_checkpoints
from mmrbdc.studies.jobs import run_commands
from mmrbdc.weights import read_checkpoint, save_member, write_json

ROOT = Path(__file__).resolve().parent.parent
DIGITS = ROOT / "configs/rbdc/deit-micro_2step_digits.py"
PLAIN = "plain"
CHOICES = (PLAIN, "ema", "no-warmup", "long-warmup")

ANOTHER_FIRST_STAGE = (PLAIN, "ema")
"""Choices whose first stage is not the plain rule's."""

EMA = dict(type="EMAHook", momentum=0.02)
"""Added where parents are averages: over about 50 iterations, as stages here have hundreds."""


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(8)))
    parser.add_argument("--choices", nargs="+", choices=CHOICES, default=list(CHOICES))
    parser.add_argument("--long-warmup", type=float, default=3, help="its epochs")
    parser.add_argument("--config", type=Path, default=DIGITS, help="staged config, two stages up")
    parser.add_argument("--data", type=Path, help="folder with train/, val/ and test/ of class "
                        "folders; default data/digits, which is made")  # fmt: skip
    parser.add_argument("--split", default="val", help="folder of images to score on")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, one thread each")
    parser.add_argument("--out", type=Path, help="default work_dirs/starts/<config name>")
    parser.add_argument("--cfg-options", nargs="+", default=[], metavar="KEY=VALUE",
                        help="for every run")  # fmt: skip
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Run what is missing, then compare what is finished."""
    args = parse_args(argv)
    out = args.out or Path("work_dirs/starts") / args.config.stem
    out.mkdir(parents=True, exist_ok=True)
    if args.data is None:
        make_data = [sys.executable, str(ROOT / "tools/make_demo_data.py"), "--out", "data"]
        subprocess.run(make_data, check=True)
    settings = choice_settings(args.long_warmup)
    for choice in args.choices:
        write_config(args.config, settings[choice], out / f"{choice}.py")
    first = [(PLAIN, seed) for seed in args.seeds if PLAIN in args.choices]
    others = [(c, seed) for seed in args.seeds for c in args.choices if c != PLAIN]
    jobs = first + others
    with ThreadPoolExecutor(args.jobs) as pool:
        runs = [
            *pool.map(lambda job: run(args, out, *job), first),
            *pool.map(lambda job: run(args, out, *job), others),
        ]
    failed = [f"{c}_seed{s}" for (c, s), found in zip(jobs, runs, strict=True) if found is None]
    report(args, [found for found in runs if found is not None], out)
    if failed:
        raise ValueError(
            f"{len(failed)} of {len(jobs)} runs failed: {', '.join(failed)}; see {out}/<run>.log, "
            "then give the command again: finished runs are kept"
        )


def choice_settings(long_warmup: float) -> dict[str, dict[str, Any]]:
    """What each choice says beyond the config; lengths in epochs."""
    return {
        PLAIN: {},
        "ema": dict(protocol=dict(parents="ema")),
        "no-warmup": dict(protocol=dict(warmup=0)),
        "long-warmup": dict(protocol=dict(warmup=long_warmup)),
    }


def write_config(path: Path, settings: dict[str, Any], target: Path) -> None:
    """Write the staged config of a choice, complete in one file."""
    cfg = load_config(str(path))
    cfg.merge_from_dict(settings)
    hooks = list(cfg.get("custom_hooks") or [])
    if cfg.protocol.get("parents") == "ema" and not any(h["type"] == "EMAHook" for h in hooks):
        cfg.custom_hooks = [*hooks, EMA]
    cfg.dump(str(target))


def run(args: argparse.Namespace, out: Path, choice: str, seed: int) -> dict[str, Any] | None:
    """Train and test one choice on one seed; None if that fails. A finished run is read."""
    name = f"{choice}_seed{seed}"
    work_dir = out / name
    result = work_dir / "result.json"
    settings = dict(config=(out / f"{choice}.py").read_text(), options=_options(args))
    if result.is_file() and json.loads(result.read_text())["settings"] == settings:
        return json.loads(result.read_text())
    place = [str(out / f"{choice}.py"), "--work-dir", str(work_dir)]
    options = ["--cfg-options", f"randomness.seed={seed}", *_options(args)]
    score = f"test_dataloader.dataset.data_prefix={args.split}"
    plain = out / f"{PLAIN}_seed{seed}"
    if choice not in ANOTHER_FIRST_STAGE and (plain / "result.json").is_file():
        for stage in plain.glob("stage0_*"):
            if not (work_dir / stage.name).exists():
                shutil.copytree(stage, work_dir / stage.name)
    log = out / f"{name}.log"
    ok = _tool("train.py", [*place, "--resume", *options], log)
    ok = ok and _tool("test.py", [*place, *options, score], log)
    figures = work_dir / "test.json"
    if ok and "EMAHook" in settings["config"]:
        figures = work_dir / "test_raw.json"
        place.insert(1, str(_raw_weights(work_dir)))
        ok = _tool("test.py", [*place, "--out", str(figures), *options, score], log)
    if not ok:
        print(f"{name}: failed", flush=True)
        return None
    found = dict(
        choice=choice,
        seed=seed,
        top1=json.loads(figures.read_text())["top1"],
        published_top1=json.loads((work_dir / "test.json").read_text())["top1"],
        junctions=[json.loads(path.read_text())["children"] for path in _junctions(work_dir)],
        train_flops=json.loads((work_dir / "ledger.json").read_text())["total_flops"],
        settings=settings,
    )
    write_json(result, found)
    print(f"{name}: top-1 {found['top1']:.2f}", flush=True)
    return found


def _options(args: argparse.Namespace) -> list[str]:
    data = [
        f"{split}_dataloader.dataset.data_root={args.data}"
        for split in ("train", "val", "test")
        if args.data is not None
    ]
    return [*data, *args.cfg_options]


def _tool(name: str, arguments: list[str], log: Path) -> bool:
    return run_commands([[str(ROOT / "tools" / name), *arguments]], log)


def _junctions(work_dir: Path) -> list[Path]:
    return sorted(work_dir.glob("stage*/junction.json"))


def _raw_weights(work_dir: Path) -> Path:
    """The last stage's raw weights as a file of their own, where the published are averages."""
    last = sorted(path for path in work_dir.glob("stage*") if path.is_dir())[-1]
    _, newest = numbered_checkpoints(last, "epoch_{}.pth")[0]
    state = read_checkpoint(newest, weights="raw").state_dict
    path = work_dir / "raw.pth"
    save_member(path, {k.removeprefix("members.0."): v for k, v in state.items()}, {})
    return path


def report(args: argparse.Namespace, runs: Sequence[dict[str, Any]], out: Path) -> None:
    """Write ``results.json`` and ``table.md``; print the table."""
    rows = [summary(choice, runs) for choice in args.choices]
    rows = [row for row in rows if row["seeds"]]
    content = dict(
        command=shlex.join(["python", *sys.orig_argv[1:]]),
        config=args.config.name,
        choices=choice_settings(args.long_warmup),
        summary=rows,
        runs=[{key: v for key, v in found.items() if key != "settings"} for found in runs],
    )
    write_json(out / "results.json", content)
    table = "\n".join(table_lines(rows)) + "\n"
    (out / "table.md").write_text(table)
    print(table, end="")


def summary(choice: str, runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Means and spreads of one choice, and its paired difference to the plain rule."""
    own = {found["seed"]: found for found in runs if found["choice"] == choice}
    plain = {found["seed"]: found for found in runs if found["choice"] == PLAIN}
    row: dict[str, Any] = dict(choice=choice, seeds=sorted(own))
    if not own:
        return row
    for key, score in (("children", "child"), ("ensembles", "ensemble")):
        by_seed = [
            [
                Spread.of([child[score] for child in junction]).mean
                for junction in found["junctions"]
            ]
            for found in own.values()
        ]
        row[key] = [_plain(values) for values in zip(*by_seed, strict=True)]
    gains = [
        Spread.of([c["ensemble"] - Spread.of(c["parents"]).mean for c in junctions[0]]).mean
        for junctions in (found["junctions"] for found in own.values())
    ]
    row["ensemble_gain"] = _plain(gains)
    row["top1"] = _plain([found["top1"] for found in own.values()])
    row["train_flops"] = Spread.of([found["train_flops"] for found in own.values()]).mean
    seeds = tuple(sorted(own.keys() & plain.keys()))
    if choice != PLAIN and len(seeds) > 1:
        differences = tuple(own[seed]["top1"] - plain[seed]["top1"] for seed in seeds)
        paired = PairedDifference(choice, PLAIN, "", "top1", differences, seeds)
        row["difference"] = dict(
            mean=paired.spread.mean,
            interval=paired.interval,
            p=paired.p_value,
            by_seed=dict(zip(map(str, seeds), differences, strict=True)),
        )
    return row


def table_lines(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The table in Markdown; a child's cell has its parents' ensemble behind it."""
    junctions = max((len(row["children"]) for row in rows), default=0)
    headings = ["choice", *(f"child {i + 1} (ensemble)" for i in range(junctions))]
    headings += [
        "first ensemble's gain",
        "val top-1 %",
        "difference",
        "95 % t-interval",
        "p",
        "seeds",
        "TFLOPs",
    ]
    lines = ["| " + " | ".join(headings) + " |", "|---" * len(headings) + "|"]
    for row in rows:
        pairs = zip(row["children"], row["ensembles"], strict=True)
        cells = [row["choice"], *(f"{_shown(c)} ({e['mean']:.1f})" for c, e in pairs)]
        cells += [_shown(row["ensemble_gain"]), _shown(row["top1"])]
        if difference := row.get("difference"):
            low, high = difference["interval"]
            cells += [f"{difference['mean']:+.2f}", f"{low:+.2f} to {high:+.2f}"]
            cells.append(f"{difference['p']:.3g}")
        else:
            cells += ["-"] * 3
        cells += [str(len(row["seeds"])), f"{row['train_flops'] / 1e12:.3f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _plain(values: Sequence[float]) -> dict[str, Any]:
    spread = Spread.of(values)
    return dict(mean=spread.mean, sd=spread.sd)


def _shown(spread: dict[str, Any]) -> str:
    return f"{spread['mean']:.2f}" + ("" if spread["sd"] is None else f" ± {spread['sd']:.2f}")


if __name__ == "__main__":
    run_cli(main)
