"""Every shipped detector config: what it states, what it builds, and that the micro ones train."""

import ast
import copy
import json
from functools import cache
from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS, TRANSFORMS
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from mmrbdc.datasets.made.scenes import make_scenes
from mmrbdc.engine.hooks.load_report import LoadReportHook
from mmrbdc.families import architecture_from_config
from mmrbdc.weights import WeightsError, publish, read_checkpoint

ROOT = Path(__file__).parent.parent
STARTS = {"rbdc": "rbdc-pre", "scratch": "scratch-pre", "random": "random"}
KINDS = [
    "cascade-mask-rcnn_deit-b-{}_sfp_8xb2-lsj-36e_coco-640px",
    "cascade-mask-rcnn_r50-{}_fpn_1x_coco",
    "mask-rcnn_deit-b-{}_sfp_8xb2-lsj-36e_coco-640px",
    "mask-rcnn_deit-b-{}_sfp_8xb8-lsj-100e_coco",
    "mask-rcnn_deit-mini-{}_sfp_1xb4-ssj-24e_coco-person-192px",
    "mask-rcnn_deit-s-{}_sfp_8xb2-lsj-36e_coco-640px",
    "mask-rcnn_deit-s-{}_sfp_8xb8-lsj-100e_coco",
    "mask-rcnn_r50-{}_fpn_1x_coco",
    "mask-rcnn_r50-{}_fpn_ms-3x_coco",
    "retinanet_deit-s-{}_sfp_8xb2-lsj-36e_coco-640px",
    "retinanet_r50-{}_fpn_1x_coco",
]
ALIASES = {
    f"mask-rcnn_{start}-{net}_coco": f"detection/{kind.format(name)}"
    for net, kind in (("r50", KINDS[7]), ("deit-b", KINDS[2]))
    for start, name in STARTS.items()
}
MICRO = [f"mask-rcnn_{start}-{net}-micro_scenes" for net in ("deit", "resnet") for start in STARTS]
RECIPES = [f"detection/{kind.format(start)}" for kind in KINDS for start in STARTS.values()]
TRANSFERRED = [name for name in (*RECIPES, *MICRO) if "random" not in name]
BUILT = [name for name in (*RECIPES, *MICRO) if "random" in name]
"""One of each comparison: the others have the same model."""
WINDOWED = [name for name in BUILT if "_sfp_" in name]
HEADLESS = ("head", "num_classes")
TITLES = ("Mask R-CNN on ", "Cascade Mask R-CNN on ", "RetinaNet on ")


@pytest.fixture(autouse=True)
def _scope():
    init_default_scope("mmdet")


@pytest.fixture(scope="module", autouse=True)
def _metafiles_are_read_once():
    """MMEngine parses all of MMDetection's metafiles for each ``mmdet::`` base, half a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Config, "_get_cfg_path", staticmethod(cache(Config._get_cfg_path)))
        yield


def path_of(name):
    return ROOT / "configs" / f"{name}.py"


@cache
def _read(name):
    return Config.fromfile(path_of(name))


def read(name):
    return copy.deepcopy(_read(name))


def test_the_promised_configs_are_there():
    folders = [ROOT / "configs", ROOT / "configs" / "detection"]
    found = {str(p.relative_to(folders[0])) for folder in folders for p in folder.glob("*.py")}
    assert found == {f"{name}.py" for name in (*RECIPES, *ALIASES, *MICRO)}


@pytest.mark.parametrize("name", [*RECIPES, *ALIASES, *MICRO])
def test_docstring(name):
    """What, expected result and the command; a full-size one also says on what hardware."""
    text = ast.get_docstring(ast.parse(path_of(name).read_text()))
    assert text.startswith(TITLES)
    assert f" configs/{name}.py" in text and "Expected: " in text
    assert "Hardware: " in text or "micro" in name
    words = [word.strip(".,:'s") for word in text.split()]
    others = [word for word in words if word.endswith(".py") and not word.startswith("tools/")]
    for other in others:
        here = ROOT if other.startswith("configs/") else path_of(name).parent
        assert (here / other).exists(), other


@pytest.mark.parametrize("name", ALIASES)
def test_a_short_name_is_its_recipe_and_nothing_else(name):
    assert read(name).to_dict() == read(ALIASES[name]).to_dict()
    statements = ast.parse(path_of(name).read_text()).body
    assert len(statements) == 2  # docstring and _base_


@pytest.mark.parametrize("name", TRANSFERRED)
def test_the_backbone_is_the_one_that_its_protocol_leaves(name):
    """Path, architecture, mean and std are those of the pretraining config that the error names."""
    config = read(name)
    init_cfg = config.model.backbone.init_cfg
    protocol = Path(init_cfg.made_by).stem
    assert init_cfg.checkpoint == f"work_dirs/{protocol}/{protocol}.pth"
    assert ("step" in protocol) == ("rbdc" in name) != ("scratch" in protocol)
    text = ast.get_docstring(ast.parse(path_of(name).read_text()))
    assert init_cfg.checkpoint in text and init_cfg.made_by in text
    pretraining = pretraining_of(init_cfg.made_by)
    pretrained = architecture_from_config(pretraining.model)
    detector = build(dict(config.model.backbone, init_cfg=None)).architecture
    left_behind = ("with_cls_token",) if "_sfp_" in name else ()
    assert detector.differences(pretrained, ignore=(*HEADLESS, *left_behind)) == []
    ours, theirs = config.model.data_preprocessor, pretraining.data_preprocessor
    assert list(ours.mean) == list(theirs.mean) and list(ours.std) == list(theirs.std)
    assert ours.bgr_to_rgb == theirs.to_rgb


@cache
def pretraining_of(made_by):
    return Config.fromfile(ROOT / made_by)


def build(cfg):
    """On the meta device where that is possible: MMPretrain's ResNet reads values while built."""
    backbone = cfg.get("backbone", cfg)
    with torch.device("cpu" if "ResNet" in backbone["type"] else "meta"):
        return MODELS.build(cfg)


def without_start(name):
    config = read(name)
    config.model.backbone.pop("init_cfg", None)
    return config.to_dict()


@pytest.mark.parametrize(
    "kind",
    [
        *(f"detection/{kind}" for kind in KINDS),
        *(f"mask-rcnn_{{}}-{net}" for net in ("r50_coco", "deit-b_coco")),
        *(f"mask-rcnn_{{}}-{net}-micro_scenes" for net in ("deit", "resnet")),
    ],
)
def test_rows_of_a_comparison_differ_in_the_start_of_the_backbone_only(kind):
    starts = STARTS.values() if kind.startswith("detection/") else STARTS
    rows = [without_start(kind.format(start)) for start in starts]
    assert rows[0] == rows[1] == rows[2]


def test_rows_of_other_comparisons_differ_in_more():
    kinds = [without_start(f"detection/{kind.format('random')}") for kind in KINDS]
    assert all(kinds[i] != kinds[j] for i in range(len(kinds)) for j in range(i))


@pytest.mark.parametrize("name", BUILT)
def test_it_builds_and_trains_whole(name):
    """Model, optimizer and every step of the pipelines; nothing is frozen."""
    config = read(name)
    model = build(config.model)
    assert all(parameter.requires_grad for parameter in model.parameters())
    norms = [
        m for m in model.backbone.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)
    ]
    model.train()
    assert all(norm.training for norm in norms) and (not norms) == ("deit" in name)
    assert model.with_mask != ("retinanet" in name)
    optimizer = build_optim_wrapper(model, config.optim_wrapper).optimizer
    trained = sum(p.numel() for group in optimizer.param_groups for p in group["params"])
    assert trained == sum(p.numel() for p in model.parameters())
    lrs = {group["lr"] for group in optimizer.param_groups}
    blocks = 4 if "deit-mini" in name else 12
    assert len(lrs) == (blocks + 2 if "_sfp_" in name else 1)  # the blocks, the stem, the rest
    for split in ("train", "val", "test"):
        for step in config[f"{split}_dataloader"].dataset.pipeline:
            TRANSFORMS.build(step)


def fits_its_canvas(config):
    """Whether every image, in training and testing, fits into the one square that is padded to."""
    canvas = config.model.data_preprocessor.pad_size_divisor
    train = {step.type: step for step in config.train_dataloader.dataset.pipeline}
    tests = [config[f"{split}_dataloader"].dataset.pipeline[1] for split in ("val", "test")]
    sizes = [train["RandomCrop"].crop_size, train["RandomResize"].scale, *(t.scale for t in tests)]
    return all(tuple(size) == (canvas, canvas) for size in sizes)


@pytest.mark.parametrize("name", WINDOWED)
def test_every_image_is_padded_to_one_square(name):
    """So that a global block attends to the same canvas whatever else is in the batch."""
    config = read(name)
    assert fits_its_canvas(config)
    config.model.data_preprocessor.pad_size_divisor = 32
    assert not fits_its_canvas(config)


@pytest.mark.parametrize("name", WINDOWED)
def test_layer_decay_follows_the_size(name):
    rate = read(name).optim_wrapper.paramwise_cfg.decay_rate
    assert rate == {"deit-b": 0.7, "deit-s": 0.65, "deit-m": 0.8}[name.partition("_")[2][:6]]


class Snapshot(Hook):
    """Keeps the backbone as it is before the first step and after the last."""

    priority = "LOWEST"

    def before_train(self, runner):
        self.before = {k: v.clone() for k, v in runner.model.backbone.state_dict().items()}

    def after_train(self, runner):
        self.after = runner.model.backbone.state_dict()


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    root = tmp_path_factory.mktemp("data") / "digit_scenes"
    make_scenes(root, counts=dict(train=4, val=2, test=2))
    return root


def runner_of(name, scenes, work_dir, **backbone):
    """One epoch of two steps, then two scenes validated."""
    config = read(name)
    config.work_dir = str(work_dir)
    config.experiment_name = f"{name}-{work_dir.name}"
    config.train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=1, val_interval=1)
    config.param_scheduler = None
    config.log_level = "WARNING"
    for split in ("train", "val", "test"):
        loader = config[f"{split}_dataloader"]
        loader.update(batch_size=2, num_workers=0, persistent_workers=False)
        loader.dataset.data_root = str(scenes)
    for split in ("val", "test"):
        annotations = f"{scenes}/annotations/instances_{split}.json"
        config[f"{split}_evaluator"].ann_file = annotations
    config.model.backbone.update(backbone)
    return Runner.from_cfg(config)


@pytest.mark.parametrize("family", ["deit", "resnet"])
def test_a_micro_detector_trains_and_tests_from_its_file(family, scenes, tmp_path):
    """The runner's initialisation leaves the file's tensors, and the run learns and is scored."""
    pretraining = Config.fromfile(ROOT / f"configs/rbdc/{family}-micro_2step_digits.py")
    init_default_scope("mmpretrain")
    classifier = MODELS.build(dict(pretraining.model, _scope_="mmpretrain"))
    classifier.init_weights()
    architecture = architecture_from_config(pretraining.model)
    meta = dict(
        name="pretrained", method="rbdc", family=family, architecture=architecture.to_dict()
    )
    file = publish(tmp_path / "pretrained", classifier.state_dict(), meta)["pth"]
    init_default_scope("mmdet")
    name = f"mask-rcnn_rbdc-{family}-micro_scenes"
    assert_trains_and_tests(name, file, scenes, tmp_path / family)


SHORT = {
    "incubation": {f"stages.{i}.epochs": 0.4 for i in range(3)},
    "autoprog": {
        **{f"stages.{i}.epochs": None for i in range(3)},
        "protocol.reference_epochs": 4,
        "protocol.progression.stages": 2,
        "protocol.progression.evaluations": 2,
        "protocol.progression.batches": 1,
    },
}

METHODS = ("deep-incubation", "autoprog")


@pytest.mark.parametrize(("folder", "method"), zip(SHORT, METHODS, strict=True))
def test_a_backbone_by_another_method_is_one_like_others(tiny, scenes, tmp_path, folder, method):
    """What the protocol publishes goes into the detector for RBDC's: another file, nothing else."""
    config = ROOT / "configs" / folder / "deit-micro_digits.py"
    short = {"model.backbone.arch.num_layers": None, **SHORT[folder]}
    arguments = tiny.arguments(tmp_path / folder, config=config, **short)
    tiny.fork(ROOT / "tools" / "train.py", *arguments)
    file = tmp_path / folder / f"{config.stem}.pth"
    assert read_checkpoint(file).meta["method"] == method
    name = "mask-rcnn_rbdc-deit-micro_scenes"
    assert_trains_and_tests(name, file, scenes, tmp_path / "detector")


def assert_trains_and_tests(name, file, scenes, work_dir):
    """The detector starts from all of the file's backbone, changes all of it, and is scored."""
    tensors = read_checkpoint(file).state_dict
    init_cfg = dict(type="mmrbdc.Transferred", checkpoint=str(file))
    runner = runner_of(name, scenes, work_dir, init_cfg=init_cfg)
    snapshot = Snapshot()
    runner.register_hook(snapshot)
    runner.train()
    before, after = snapshot.before, snapshot.after
    assert all(torch.equal(value, tensors[f"backbone.{name}"]) for name, value in before.items())
    assert [name for name in before if torch.equal(before[name], after[name])] == []
    report = json.loads((work_dir / "load_report.json").read_text())
    assert report["checkpoint"]["name"] == Path(file).stem and report["load"]["share"] == 1
    scores = runner.test()
    assert {"coco/bbox_mAP", "coco/segm_mAP"} <= scores.keys()
    assert read_checkpoint(work_dir / "epoch_1.pth").weights == "raw"


def test_random_weights_are_reported_as_such(scenes, tmp_path):
    runner = runner_of("mask-rcnn_random-resnet-micro_scenes", scenes, tmp_path / "random")
    LoadReportHook().before_train(runner)
    report = json.loads((tmp_path / "random" / "load_report.json").read_text())
    policy = dict(name=None, frozen_stages=-1, norm_eval=False, norm="BN")
    assert report == {"checkpoint": None, "load_from": None, "policy": policy}


def test_a_missing_backbone_stops_the_run_before_it_trains(scenes, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runner = runner_of("mask-rcnn_scratch-deit-micro_scenes", scenes, tmp_path / "scratch")
    with pytest.raises(
        WeightsError,
        match=r"python tools/train\.py configs/baselines/deit-micro_scratch_digits\.py",
    ):
        runner.train()
    assert not list((tmp_path / "scratch").rglob("*.pth"))
