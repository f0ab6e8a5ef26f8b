"""Made-up finished runs, file for file as tools/train.py and tools/test.py leave them.

What is written here is all that the analysis reads.
"""

import hashlib
import json
import math
import random
from pathlib import Path

from mmrbdc.analysis.coco import match, read_annotations, read_predictions

# members, width, epochs, training FLOPs of the whole stage
TWO_STEPS = ((4, 48, 60.0, 4.1e12), (2, 96, 40.0, 5.2e12), (1, 192, 27.5, 7.3e12))
ONE_STEP = ((2, 96, 70.0, 8.2e12), (1, 192, 35.0, 8.4e12))
SCRATCH = ((1, 192, 63.0, 16.7e12),)


def write_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2))


def edit_json(path, change):
    """Apply ``change``, which edits in place, to what a file holds."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def write_pretraining(
    path,
    *,
    name,
    method,
    family="deit",
    seed=0,
    stages=TWO_STEPS,
    top1=96.0,
    wall_s=120.0,
    points=12,
):
    """Write the work dir of a protocol that trained ``stages`` and scored ``top1`` percent."""
    path = Path(path)
    noise = random.Random(f"{name}-{seed}")
    total = sum(flops for *_, flops in stages)
    rows = [
        {
            "name": f"stage{i}_{members}x{width}",
            "label": f"{family} 4x{width}",
            "members": members,
            "width": width,
            "fraction": str(members),
            "epochs": epochs,
            "iters": round(epochs * 19),
            "flops": round(flops),
            "share": flops / 24e12,
        }
        for i, (members, width, epochs, flops) in enumerate(stages)
    ]
    write_json(
        path / "plan.json",
        {
            "name": name,
            "method": method,
            "family": family,
            "stages": rows,
            "total_flops": round(total),
            "reference": {"name": "scratch", "flops": 24e12},
            "share": total / 24e12,
            "seed": seed,
        },
    )
    spent, best = 0.0, 0.0
    for i, row in enumerate(rows):
        folder, members = path / row["name"], row["members"]
        goal = top1 + 0.6 - 4.0 * (len(rows) - 1 - i)
        start = 11.0
        if i:
            group = rows[i - 1]["members"] // members
            children = []
            for _ in range(members):
                parents = [best - noise.uniform(1.0, 3.0) for _ in range(group)]
                child = {"parents": parents, "ensemble": best, "child": best - noise.uniform(9, 16)}
                children.append(child)
            write_json(folder / "junction.json", {"flops": spent, "children": children})
            start = children[0]["child"]
        curve = []
        for step in range(1, points + 1):
            done = step / points
            mean = goal - (goal - start) * math.exp(-4.5 * done) + noise.gauss(0, 0.35)
            scores = [mean - (members > 1) * noise.uniform(0.8, 2.6) for _ in range(members)]
            curve.append(
                {
                    "epoch": round(done * row["epochs"], 2),
                    "iter": round(done * row["iters"]),
                    "flops": spent + done * row["flops"],
                    "top1": mean,
                    "members": scores,
                }
            )
        write_json(folder / "curve.json", curve)
        spent, best = curve[-1]["flops"], curve[-1]["top1"]
    write_json(
        path / "ledger.json",
        {
            "total_flops": sum(row["flops"] for row in rows),
            "stages": [
                {
                    "name": row["name"],
                    "members": row["members"],
                    "samples": row["iters"] * 64,
                    "iters": row["iters"],
                    "flops": row["flops"],
                    "wall_s": wall_s * row["flops"] / total,
                }
                for row in rows
            ],
        },
    )
    write_json(
        path / f"{name}.json",
        {
            "name": name,
            "method": method,
            "family": family,
            "seed": seed,
            "train_flops": sum(row["flops"] for row in rows),
            "accuracy": {"val/top1": round(best, 2)},
        },
    )
    write_json(path / "test.json", {"split": "test", "top1": top1})
    return path


def write_detector(
    path, *, name, source=None, family="deit", seed=0, bbox=0.30, segm=0.28, wall_s=90.0
):
    """Write the work dir of a detector fine-tuned from the work dir ``source``, or from nothing."""
    path = Path(path)
    backbone = {"deit": "mmrbdc.DeiT", "resnet": "mmrbdc.ResNetV1d"}[family]
    path.mkdir(parents=True)
    (path / f"{name}.py").write_text(
        f"model = dict(type='MaskRCNN', backbone=dict(type='{backbone}'))\n"
        f"randomness = dict(seed={seed})\n"
    )
    checkpoint = None
    if source is not None:
        pretraining = json.loads((Path(source) / "plan.json").read_text())["name"]
        meta = json.loads((Path(source) / f"{pretraining}.json").read_text())
        checkpoint = dict(meta, path=f"{source}/{pretraining}.pth", weights="raw")
    write_json(path / "load_report.json", {"checkpoint": checkpoint})
    write_json(
        path / "test.json",
        {"split": "test", "bbox_mAP": bbox, "bbox_mAP_50": bbox + 0.2, "segm_mAP": segm},
    )
    write_json(path / "wall.json", {"wall_s": wall_s})
    return path


def write_demo(root, *, seeds=(0,), families=("deit",), detectors=True, extra_protocol=False):
    """Write RBDC, scratch and random weights of each family and seed below ``root``."""
    noise = random.Random(7)
    for family in families:
        for seed in seeds:
            folder = Path(root) / f"{family}-seed{seed}"
            runs = {"rbdc": (TWO_STEPS, 96.9, 0.31), "scratch": (SCRATCH, 92.4, 0.26)}
            for method, (stages, top1, ap) in runs.items():
                name = f"{family}-micro_{'2step' if method == 'rbdc' else method}_digits"
                source = write_pretraining(
                    folder / method,
                    name=name,
                    method=method,
                    family=family,
                    seed=seed,
                    stages=stages,
                    top1=top1 + noise.gauss(0, 0.5),
                )
                if detectors:
                    write_detector(
                        folder / f"mask-rcnn_{method}",
                        name=f"mask-rcnn_{method}-{family}-micro_scenes",
                        source=source,
                        family=family,
                        seed=seed,
                        bbox=ap + noise.gauss(0, 0.012),
                        segm=ap - 0.025 + noise.gauss(0, 0.012),
                    )
            if extra_protocol:
                write_pretraining(
                    folder / "rbdc1",
                    name=f"{family}-micro_1step_digits",
                    method="rbdc",
                    family=family,
                    seed=seed,
                    stages=ONE_STEP,
                    top1=95.8 + noise.gauss(0, 0.5),
                )
            if detectors:
                write_detector(
                    folder / "mask-rcnn_random",
                    name=f"mask-rcnn_random-{family}-micro_scenes",
                    family=family,
                    seed=seed,
                    bbox=0.19 + noise.gauss(0, 0.015),
                    segm=0.17 + noise.gauss(0, 0.015),
                )
    return Path(root)


def keep_predictions(detector, annotations, detections, *, images=None):
    """Write what tools/test.py leaves of a detector beside its scores.

    Args:
        detector: its work dir; ``test.json`` gets AP of the predictions in it.
        annotations: path of COCO annotations.
        detections: COCO results with boxes and masks.
        images: folder of the images.
    """
    read = read_annotations(annotations)
    scores, files = {}, {}
    for kind in ("bbox", "segm"):
        path = Path(detector) / f"predictions.{kind}.json"
        write_json(path, detections)
        found = match(read, read_predictions(path, read, kind, may_be_empty=True), kind).scores()
        scores |= {f"{kind}_{score}": round(value, 3) for score, value in found.items()}
        files[kind] = {"path": str(path), "sha256": _sha256(path)}
    record = {
        "split": "test",
        **scores,
        "checkpoint": {"path": f"{detector}/epoch_5.pth", "sha256": "0" * 64, "weights": "raw"},
        "annotations": {"path": str(annotations), "sha256": _sha256(annotations)},
        "images": str(images or "nowhere"),
        "predictions": files,
        "throughput": {
            "images_per_s": 25.0, "batch_size": 8, "processes": 1, "device": "a CPU, 1 thread"
        },
    }  # fmt: skip
    write_json(Path(detector) / "test.json", record)


def keep_training(detector, *, lr=1e-3, val=0.3, **settings):
    """Write what training leaves of a detector: its config, last validation and cost."""
    path = Path(detector)
    config = {
        "model": {"type": "MaskRCNN", "backbone": {"type": "mmrbdc.DeiT", "frozen_stages": -1}},
        "optim_wrapper": {"optimizer": {"type": "AdamW", "lr": lr}},
        "train_cfg": {"max_epochs": 5},
        "train_dataloader": {"batch_size": 8, "num_workers": 2},
    }
    for key, value in settings.items():
        *above, last = key.split("__")
        place = config
        for name in above:
            place = place[name]
        place[last] = value
    write_json(path / "train_config.json", config)
    write_json(path / "val.json", {"epoch": 5, "iter": 250, "bbox_mAP": val, "segm_mAP": val})
    cost = {
        "train_flops": 4.7e12, "images": 2000, "parameters": 1_200_000,
        "trainable_parameters": 1_100_000, "backbone_parameters": 460_000,
    }  # fmt: skip
    write_json(path / "cost.json", cost)


def _sha256(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
