"""The full-size configs proven by running them: pretraining, then the detectors made from it.

Full width, a few iterations, a tiny ImageFolder and a tiny COCO set where the configs look for
them; everything else through --cfg-options.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from mmrbdc.families import architecture_from_config
from mmrbdc.weights import read_checkpoint
from tests.tiny_coco import as_arguments, make_coco, tiny_options

ROOT = Path(__file__).parent.parent
CONFIGS = ROOT / "configs"
DETECTORS = {
    "rbdc/deit-b_2step_in1k.py": "mask-rcnn_rbdc-deit-b_coco.py",
    "rbdc/resnet50_2step_in1k.py": "mask-rcnn_rbdc-r50_coco.py",
    "baselines/deit-b_scratch_in1k.py": "mask-rcnn_scratch-deit-b_coco.py",
    "baselines/resnet50_scratch_in1k.py": "mask-rcnn_scratch-r50_coco.py",
}
STAGED = sorted(f"{p.parent.name}/{p.name}" for p in CONFIGS.glob("*/*_in1k.py"))
CLASSES = 6
ITERS = 4
"""Of each of the four stages that AutoProg makes; two of them are its search."""
SHORT_PROGRESSION = {
    "protocol.reference_epochs": 4 * ITERS / 6,  # of 12 images in batches of 2
    "protocol.progression.lengths": "epochs",
    "protocol.progression.budget": None,
    "protocol.progression.search_epochs": 2 / 6,
    "protocol.progression.evaluations": 2,
    "protocol.progression.batches": 1,
}

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:pkg_resources")]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with data/imagenet of 6 classes, 12 images, and data/coco of its 80, 4 images."""
    root = tmp_path_factory.mktemp("full_size")
    rng = np.random.default_rng(0)
    for split, images in (("train", 2), ("val", 1)):
        for name in range(CLASSES):
            folder = root / "data" / "imagenet" / split / f"class{name}"
            folder.mkdir(parents=True)
            for number in range(images):
                pixels = rng.integers(0, 256, (224, 224, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    make_coco(root / "data" / "coco")
    yield root
    shutil.rmtree(root)  # gigabytes


def run(tiny, place, tool, name, options):
    """Start a tool in the folder as a user would, with nothing but --cfg-options."""
    arguments = as_arguments(options)
    tiny.tool(tool, CONFIGS / name, "--cfg-options", *arguments, cwd=place, timeout=1800)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", STAGED)
def test_a_few_iterations(tiny, place, name):
    config = Config.fromfile(CONFIGS / name)
    options = {
        "data_preprocessor.num_classes": CLASSES,
        "model.head.num_classes": CLASSES,
        "default_hooks.checkpoint.save_optimizer": False,
        "default_hooks.logger.interval": 1,
    }
    for split in ("train", "val", "test"):
        options |= {
            f"{split}_dataloader.batch_size": 2,
            f"{split}_dataloader.num_workers": 0,
            f"{split}_dataloader.persistent_workers": False,
        }
    options |= short_stages(config) if "stages" in config else SHORT_PROGRESSION
    run(tiny, place, "train.py", name, options)

    work_dir = place / "work_dirs" / Path(name).stem
    plan, ledger = (json.loads((work_dir / f"{f}.json").read_text()) for f in ("plan", "ledger"))
    assert ledger["total_flops"] == pytest.approx(plan["total_flops"], rel=0.005)
    rows = [row for row in plan["stages"] if not row.get("skipped")]
    samples = [entry["samples"] for entry in ledger["stages"]]
    assert samples == [2 * row["iters"] for row in rows]
    if "stages" in config:
        assert samples == [4] * len(config.stages)
    else:
        assert sum(samples) == 2 * 4 * ITERS
        assert_progressed(work_dir, rows)
    final = read_checkpoint(work_dir / f"{Path(name).stem}.pth")
    target = architecture_from_config(Config.fromfile(CONFIGS / name).model).to_dict()
    assert final.meta["architecture"] == {**target, "num_classes": CLASSES}
    assert all(value.isfinite().all() for value in final.state_dict.values())

    run(tiny, place, "test.py", name, options)
    figures = json.loads((work_dir / "test.json").read_text())
    assert figures.keys() == {"split", "top1", "top5", "checkpoint"}
    if name in DETECTORS:
        fine_tune(tiny, place, DETECTORS[name], pretrained=Path(name).stem)
    shutil.rmtree(work_dir)


def short_stages(config):
    """Two iterations of every stage."""
    options = {}
    for i, stage in enumerate(config.stages):
        options |= {f"stages.{i}.epochs": None, f"stages.{i}.iters": 2}
        if stage.get("warmup"):  # longer than that
            options[f"stages.{i}.warmup"] = 0
    return options


def assert_progressed(work_dir, rows):
    """Every search that was not left out has chosen among its candidates, and growth goes on."""
    searched = [row for row in rows if row.get("searching")]
    assert rows[0] in searched
    for row in searched:
        found = json.loads((work_dir / row["name"] / "search.json").read_text())
        assert len(found["candidates"]) == len(row["searching"]) == len(found["losses"])
        assert all(0 < loss < 100 for loss in found["losses"])
    trained = [row for row in rows if row not in searched]
    assert len(trained) == 4 and trained[-1]["img_size"] == [224, 224]
    sizes = [row["img_size"][0] for row in trained]
    params = [row["params"] for row in trained]
    assert sizes == sorted(sizes) and params == sorted(params)


def fine_tune(tiny, place, name, pretrained):
    """The detector finds its backbone where the protocol left it: no option says where."""
    run(tiny, place, "train.py", name, tiny_options(CONFIGS / name))
    work_dir = place / "work_dirs" / Path(name).stem
    report = json.loads((work_dir / "load_report.json").read_text())
    assert report["load"]["share"] == 1 and report["checkpoint"]["name"] == pretrained
    log = next(work_dir.glob("2*/*.log")).read_text()
    assert "Epoch(train) [1][2/2]" in log and "loss: nan" not in log
    shutil.rmtree(work_dir)
