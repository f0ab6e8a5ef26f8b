"""The template for a set of one's own: one edit suffices, and docs/detection.md's commands work."""

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS as DETECTION
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmpretrain.registry import MODELS
from PIL import Image

from mmrbdc.datasets.made.scenes import make_scenes
from mmrbdc.engine.configs.loading import load_config
from mmrbdc.engine.inputs.image_size import check_canvas
from mmrbdc.engine.launch import prepare_config, train
from mmrbdc.families import architecture_from_config
from mmrbdc.weights import publish
from tests.tiny_coco import ROOT, as_arguments, tiny_options

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


def edit(file, classes=CLASSES, image_size=640):
    """What the docs ask for: folder, classes and size of images, each in its one place."""
    text = file.read_text()
    for old, new in (
        ('data_root = "data/custom"', 'data_root = "data/birds"'),
        ('classes = ("cat", "dog", "bird")', f"classes = {classes!r}"),
        ("image_size = 640", f"image_size = {image_size!r}"),
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
    edit(configs / "birds" / "dataset.py", classes=(*CLASSES, "tit", "jay"), image_size=448)
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
    preprocessor = config["model"]["data_preprocessor"]
    assert preprocessor["pad_size_divisor"] == (448 if "deit" in name else 32)
    for loader, keys in zip(loaders, (["scale", "crop_size"], ["scale"], ["scale"]), strict=True):
        sizes = {k: step[k] for step in loader["pipeline"] for k in keys if k in step}
        assert sizes == dict.fromkeys(keys, (448, 448))
    assert (
        "640" not in str(config)
        and "data/custom" not in str(config)
        and "data/coco"
        not in str({k: v for k, v in config.items() if k.endswith(("_dataloader", "_evaluator"))})
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


HEADS = {
    "cascade": """
    roi_head=dict(
        bbox_head=[
            dict(head, num_classes=_base_.num_classes) for head in _base_.model.roi_head.bbox_head
        ],
        mask_head=dict(num_classes=_base_.num_classes),
    ),""",
    "mask-rcnn": """
    roi_head=dict(
        bbox_head=dict(num_classes=_base_.num_classes),
        mask_head=dict(num_classes=_base_.num_classes),
    ),""",
    "retinanet": """
    bbox_head=dict(num_classes=_base_.num_classes),""",
}
"""What a recipe of one's own says, by the detector's name."""
DETECTORS = sorted(
    path.stem
    for path in (ROOT / "configs" / "_base_" / "models").glob("*.py")
    if path.stem.startswith(tuple(HEADS)) and path.stem != "mask-rcnn_micro"  # has no backbone
)


def recipe(folder, detector):
    """The template on a detector of ``configs/_base_/models``, as docs/detection.md says."""
    heads = next(text for kind, text in HEADS.items() if detector.startswith(kind))
    data = "dataset_boxes" if detector.startswith("retinanet") else "dataset"
    canvas = (
        "data_preprocessor=dict(pad_size_divisor=_base_.image_size)," if "deit" in detector else ""
    )
    file = folder / f"{detector}_own.py"
    file.write_text(
        f"""_base_ = [
    "../_base_/models/{detector}.py",
    "./{data}.py",
    "./schedule.py",
    "../_base_/detector_runtime.py",
]
model = dict({canvas}{heads}
)
"""
    )
    return file


@pytest.mark.parametrize("detector", DETECTORS)
def test_the_template_goes_with_every_shipped_detector(edited, detector):
    config = Config.fromfile(recipe(edited, detector))
    stated = [
        n
        for part in ("roi_head", "bbox_head")
        for n in values(config.model.to_dict().get(part, {}), "num_classes")
    ]
    assert stated and set(stated) == {5}
    canvas = config.model.data_preprocessor.pad_size_divisor
    assert canvas == (448 if "deit" in detector else 32)
    check_canvas(config)
    # MMPretrain's ResNet asks a tensor for its value as it is built.
    device = torch.device("meta" if "deit" in detector else "cpu")
    with DefaultScope.overwrite_default_scope("mmdet"), device:
        model = DETECTION.build(config.model)
    widths = {m.out_features for n, m in model.named_modules() if n.endswith("fc_cls")}
    assert widths == (set() if detector.startswith("retinanet") else {6})


@pytest.mark.parametrize(
    "detector", [name for name in DETECTORS if "micro" in name or "mini" in name]
)
def test_small_detectors_train_on_the_template(tmp_path, detector):
    """One step of birds in squares of 96 px, by the config's own loader."""
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    shutil.copytree(tmp_path / "configs" / "custom", tmp_path / "configs" / "birds")
    edit(tmp_path / "configs" / "birds" / "dataset.py", image_size=96)
    config = Config.fromfile(recipe(tmp_path / "configs" / "birds", detector))
    make_birds(tmp_path / "data" / "birds")
    loader = config.train_dataloader
    loader.update(batch_size=2, num_workers=0, persistent_workers=False)
    loader.dataset.data_root = str(tmp_path / "data" / "birds")
    with DefaultScope.overwrite_default_scope("mmdet"):
        model = revert_sync_batchnorm(DETECTION.build(config.model))
        model.init_weights()
        batch = next(iter(Runner.build_dataloader(loader, seed=0)))
        data = model.data_preprocessor(batch, training=True)
        losses = model(**data, mode="loss")
        loss, _ = model.parse_losses(losses)
    height, width = data["inputs"].shape[2:]
    assert (height, width) == (96, 96) if "deit" in detector else max(height, width) <= 96
    loss.backward()
    assert loss.isfinite() and all(p.grad is not None for p in model.backbone.parameters())


@pytest.mark.parametrize(
    "size, message",
    [
        (
            650,
            "image_size=650 is not a multiple of .* patch size 16; set it to 640 or 656",
        ),
        (7, "image_size=7 .* set it to 16"),
        ("640", "image_size='640': give one number of pixels"),
        ((640, 640), r"image_size=\(640, 640\): give one number"),
        (0, "image_size=0: give one number"),
        (True, "image_size=True: give one number"),
        (512.0, "image_size=512.0: give one number"),
    ],
)
def test_a_size_that_does_not_fit_is_refused(tmp_path, size, message):
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    custom = tmp_path / "configs" / "custom"
    edit(custom / "dataset.py", image_size=size)
    with pytest.raises(ValueError, match=message):
        cfg = load_config(custom / "mask-rcnn_random-deit-s_custom.py")
        train(prepare_config(cfg, work_dir=str(tmp_path / "run")))


def test_every_other_detector_config_has_a_canvas_that_fits():
    """(height, width) in COCO's own recipes; a ResNet takes any size."""
    for path in (ROOT / "configs" / "detection").glob("*_deit-?-random_*.py"):
        check_canvas(Config.fromfile(path))
    config = Config.fromfile(ROOT / "configs" / "custom" / "mask-rcnn_random-r50_custom.py")
    config.image_size = 650
    check_canvas(config)


def test_the_recipe_in_the_docs_takes_a_backbone_of_another_width(edited, tmp_path, monkeypatch):
    """As written: the file of a grown DeiT of 512 channels fills it."""
    text = (ROOT / "docs" / "detection.md").read_text()
    (block,) = re.findall(r"```python\n(_base_ = \[.*?)```", text, re.S)
    (edited / "docs.py").write_text(block)
    config = Config.fromfile(edited / "docs.py")
    pretraining = Config.fromfile(ROOT / "configs" / "rbdc" / "deit-s_1step_in1k.py").model
    pretraining.backbone.arch = config.model.backbone.arch
    pretraining.head.in_channels = 512
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        classifier = MODELS.build(pretraining)
    architecture = architecture_from_config(pretraining)
    meta = dict(name="wide", method="rbdc", family="deit", seed=0, train_flops=1e18)
    meta["architecture"] = architecture.to_dict()
    publish(tmp_path / "grown", classifier.state_dict(), meta)
    monkeypatch.chdir(tmp_path)
    with DefaultScope.overwrite_default_scope("mmdet"):
        backbone = DETECTION.build(config.model.backbone)
        backbone.init_weights()
    weight = backbone.layers[11].attn.proj.weight
    assert torch.equal(weight, classifier.backbone.layers[11].attn.proj.weight)
    assert config.model.roi_head.mask_head.num_classes == 5


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
    assert "no errors found" in done["check_data.py"]
    rows = json.loads((tmp_path / "work_dirs" / "birds" / "results.json").read_text())
    assert len(rows) == 3 and {"rbdc", "random"} < {row["method"] for row in rows}
    assert all(row["bbox_mAP"] is not None and row["segm_mAP"] is not None for row in rows)
    assert "RBDC" in done["compare.py"]
    assert (tmp_path / "work_dirs" / "birds" / "report.html").exists()
