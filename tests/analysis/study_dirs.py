"""Made-up runs of one study, file for file as tools/train.py and tools/test.py leave them."""

from pathlib import Path

from tests.analysis.run_dirs import edit_json, write_pretraining

REFERENCE = 1e13
"""Training FLOPs of the reference."""


def write_run(path, method, share, *, seed, top1, ratio=1.5, steps=1, data="data/cifar10",
              reference=REFERENCE, batch=64, name=None):  # fmt: skip
    """Write a run that spent ``share`` of the reference, from scratch or grown in ``steps``."""
    flops = share * reference
    if method == "scratch":
        stages = ((1, 128, 10 * share, flops),)
    else:
        stages = tuple(
            (2**i, 128 // 2**i, 5 * share * ratio**i, flops / (steps + 1))
            for i in range(steps, -1, -1)
        )
    name = name or ("mini_scratch" if method == "scratch" else f"mini_{steps}step")
    write_pretraining(path, name=name, method=method, seed=seed, stages=stages, top1=top1, points=2)

    complete(path, data=data, reference=reference, batch=batch)
    return path


def complete(path, *, data="data/cifar10", reference=REFERENCE, batch=64):
    """Add to a run's plan what tells one study from another."""

    def change(plan):
        plan["reference"] = {"name": "scratch", "label": "deit 4x128", "flops": reference}
        plan["samples_per_epoch"], plan["batch_size"] = 50000, batch
        dataset = {"type": "mmrbdc.ReplayableDataset", "dataset": {"data_root": data}}
        plan["fingerprints"] = [{"train_dataloader": {"dataset": dataset}}] * len(plan["stages"])

    edit_json(Path(path) / "plan.json", change)


def write_study(root, curve, grown, *, seeds=(0, 1, 2), spread=0.4):
    """Write scratch at the shares of ``curve`` and one run per seed of every entry of ``grown``.

    Args:
        root: folder of all runs.
        curve: share of the reference -> accuracy in percent.
        grown: (steps, share, ratio, accuracy) of each variant.
        seeds: of every variant; their accuracies lie ``spread`` apart around the mean.
        spread: points.
    """
    middle = sum(seeds) / len(seeds)
    for seed in seeds:
        shift = spread * (seed - middle)
        for share, top1 in curve.items():
            write_run(
                root / f"scratch{share}_{seed}", "scratch", share, seed=seed, top1=top1 + shift
            )
        for steps, share, ratio, top1 in grown:
            write_run(
                root / f"rbdc{steps}_{share}_{ratio}_{seed}", "rbdc", share, seed=seed,
                top1=top1 + shift, ratio=ratio, steps=steps,
            )  # fmt: skip
    return root
