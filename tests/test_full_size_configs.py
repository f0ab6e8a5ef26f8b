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
    stages = Config.fromfile(CONFIGS / name).stages
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
    for i in range(len(stages)):
        options |= {f"stages.{i}.epochs": None, f"stages.{i}.iters": 2}
        if stages[i].get("warmup"):  # longer than that
            options[f"stages.{i}.warmup"] = 0
    run(tiny, place, "train.py", name, options)

    work_dir = place / "work_dirs" / Path(name).stem
    plan, ledger = (json.loads((work_dir / f"{f}.json").read_text()) for f in ("plan", "ledger"))
    assert ledger["total_flops"] == pytest.approx(plan["total_flops"], rel=0.005)
    assert [entry["samples"] for entry in ledger["stages"]] == [4] * len(stages)
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


def fine_tune(tiny, place, name, pretrained):
    """The detector finds its backbone where the protocol left it: no option says where."""
    run(tiny, place, "train.py", name, tiny_options(CONFIGS / name))
    work_dir = place / "work_dirs" / Path(name).stem
    report = json.loads((work_dir / "load_report.json").read_text())
    assert report["load"]["share"] == 1 and report["checkpoint"]["name"] == pretrained
    log = next(work_dir.glob("2*/*.log")).read_text()
    assert "Epoch(train) [1][2/2]" in log and "loss: nan" not in log
    shutil.rmtree(work_dir)
