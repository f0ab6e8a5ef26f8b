"""The template for a set of one's own: one edit suffices, and docs/detection.md's commands work."""

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS
from PIL import Image
from tiny_coco import ROOT, as_arguments, tiny_options

from mmrbdc.datasets.scenes import make_scenes
from mmrbdc.families import architecture_from_config
from mmrbdc.weights import publish

CLASSES = ("robin", "wren", "owl")
RECIPES = sorted(path.name for path in (ROOT / "configs" / "custom").glob("*_custom.py"))

pytestmark = pytest.mark.filterwarnings("ignore:pkg_resources")


def make_birds(root):
    """Three of the ten digits, as birds; every other image is not square."""
    make_scenes(root, counts=dict(train=6, val=3, test=1))
    for split in ("train", "val"):
        file = root / "annotations" / f"instances_{split}.json"
        content = json.loads(file.read_text())
        content["categories"] = [dict(id=i, name=name) for i, name in enumerate(CLASSES, start=1)]
        for annotation in content["annotations"]:
            annotation["category_id"] = annotation["category_id"] % 3 + 1
            x, y, width, height = annotation["bbox"]
            corners = [x, y, x + width, y, x + width, y + height, x, y + height]
            annotation["segmentation"] = [corners]
        for number, image in enumerate(content["images"]):
            if number % 2:
                path = root / split / image["file_name"]
                wide = Image.new("RGB", (180, image["height"]))
                wide.paste(Image.open(path))
                wide.save(path)
                image["width"] = 180
        file.with_name(f"{split}.json").write_text(json.dumps(content))


def edit(file, classes=CLASSES):
    """What the docs ask for: the folder and the classes, each in its one place."""
    text = file.read_text()
    for old, new in (
        ('data_root = "data/custom"', 'data_root = "data/birds"'),
        ('classes = ("cat", "dog", "bird")', f"classes = {classes!r}"),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    file.write_text(text)


def values(node, key):
    """Everything that stands under a key, anywhere in a config."""
    if isinstance(node, dict):
        for name, part in node.items():
            yield from [part] if name == key else values(part, key)
    elif isinstance(node, list | tuple):
        for part in node:
            yield from values(part, key)


@pytest.fixture(scope="module")
def edited(tmp_path_factory):
    configs = tmp_path_factory.mktemp("edited") / "configs"
    shutil.copytree(ROOT / "configs", configs)
    shutil.copytree(configs / "custom", configs / "birds")
    edit(configs / "birds" / "dataset.py", classes=(*CLASSES, "tit", "jay"))
    return configs / "birds"


@pytest.mark.parametrize("name", RECIPES)
def test_one_edit_reaches_everything(edited, name):
    """Heads, loaders and metrics of every recipe; nothing of the template's own is left."""
    config = Config.fromfile(edited / name).to_dict()
    stated = [
        n
        for part in ("roi_head", "bbox_head")
        for n in values(config["model"].get(part, {}), "num_classes")
    ]
    assert stated == [5] * (2 if name.startswith("mask") else 1)
    loaders = [config[f"{split}_dataloader"]["dataset"] for split in ("train", "val", "test")]
    assert [loader["data_root"] for loader in loaders] == ["data/birds"] * 3
    assert [loader["metainfo"]["classes"][3:] for loader in loaders] == [("tit", "jay")] * 3
    files = [config[f"{split}_evaluator"]["ann_file"] for split in ("val", "test")]
    assert files == ["data/birds/annotations/val.json"] * 2
    assert "data/custom" not in str(config) and "data/coco" not in str(
        {k: v for k, v in config.items() if k.endswith(("_dataloader", "_evaluator"))}
    )


def rows_differ_in_weights_only(folder, detector, net):
    rows = []
    for start in ("rbdc", "scratch", "random"):
        config = Config.fromfile(folder / f"{detector}_{start}-{net}_custom.py")
        config.model.backbone.pop("init_cfg", None)
        rows.append(config.to_dict())
    return rows[0] == rows[1] == rows[2]


def test_rows_of_a_comparison_differ_in_the_start_of_the_backbone_only(edited, tmp_path):
    for detector, net in (("mask-rcnn", "deit-s"), ("mask-rcnn", "r50"), ("retinanet", "r50")):
        assert rows_differ_in_weights_only(edited, detector, net)
    shutil.copytree(edited.parent, tmp_path / "configs")
    with (tmp_path / "configs" / "birds" / "mask-rcnn_scratch-r50_custom.py").open("a") as file:
        file.write("max_epochs = 72\n")
    assert not rows_differ_in_weights_only(tmp_path / "configs" / "birds", "mask-rcnn", "r50")


def commands():
    """The commands of the walkthrough, in order."""
    text = (ROOT / "docs" / "detection.md").read_text()
    section = text.partition("## From a grown checkpoint")[2].partition("\n## ")[0]
    blocks = re.findall(r"```\n(.*?)```", section, re.S)
    return [line for block in blocks for line in block.splitlines() if line]


def leave_checkpoints(place):
    """``grown.pth`` as a protocol leaves it; ``scratch.pth`` says nothing of itself."""
    model = Config.fromfile(ROOT / "configs" / "rbdc" / "deit-s_1step_in1k.py").model
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        states = [MODELS.build(model).state_dict() for _ in range(2)]
    architecture = architecture_from_config(model)
    meta = dict(name="deit-s_1step_in1k", method="rbdc", family="deit", seed=0, train_flops=1e18)
    publish(place / "grown", states[0], dict(meta, architecture=architecture.to_dict()))
    torch.save(states[1], place / "scratch.pth")


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_walkthrough_of_the_docs(tiny, tmp_path):
    """Literally, but for the sizes: from three classes of birds to the table and the report."""
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    (tmp_path / "tools").symlink_to(ROOT / "tools")
    make_birds(tmp_path / "data" / "birds")
    leave_checkpoints(tmp_path)
    done = {}
    for command in commands():
        program, *arguments = shlex.split(command)
        if program == "cp":
            tiny.run(program, *arguments, cwd=tmp_path)
            edit(tmp_path / "configs" / "birds" / "dataset.py")
            continue
        tool = Path(arguments[0]).relative_to("tools")
        if tool.name in ("train.py", "test.py"):
            if "--cfg-options" not in arguments:
                arguments.append("--cfg-options")
            arguments += as_arguments(tiny_options(tmp_path / arguments[1]))
        done[tool.name] = tiny.tool(tool, *arguments[1:], cwd=tmp_path, timeout=1200).stdout
    assert "nothing has to be mended" in done["check_coco_dataset.py"]
    rows = json.loads((tmp_path / "work_dirs" / "birds" / "results.json").read_text())
    assert len(rows) == 3 and {"rbdc", "random"} < {row["method"] for row in rows}
    assert all(row["bbox_mAP"] is not None and row["segm_mAP"] is not None for row in rows)
    assert "RBDC" in done["compare.py"]
    assert (tmp_path / "work_dirs" / "birds" / "report.html").exists()
