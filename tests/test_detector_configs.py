"""Every shipped detector config: what it states, what it builds, and that the micro ones train."""

import ast
import json
from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from mmrbdc.datasets.scenes import make_scenes
from mmrbdc.families import architecture_from_config
from mmrbdc.models.backbones import LoadReportHook
from mmrbdc.weights import WeightsError, publish, read_checkpoint

ROOT = Path(__file__).parent.parent
CONFIGS = sorted((ROOT / "configs").glob("mask-rcnn_*.py"))
TRANSFERRED = [path for path in CONFIGS if "_random-" not in path.name]
MICRO = [path for path in CONFIGS if path.name.endswith("micro_scenes.py")]
NAMES = [
    "mask-rcnn_random-deit-micro_scenes",
    "mask-rcnn_random-resnet-micro_scenes",
    "mask-rcnn_rbdc-deit-b_coco",
    "mask-rcnn_rbdc-deit-micro_scenes",
    "mask-rcnn_rbdc-r50_coco",
    "mask-rcnn_rbdc-resnet-micro_scenes",
    "mask-rcnn_scratch-deit-b_coco",
    "mask-rcnn_scratch-deit-micro_scenes",
    "mask-rcnn_scratch-r50_coco",
    "mask-rcnn_scratch-resnet-micro_scenes",
]
HEADLESS = ("head", "num_classes")

pytestmark = pytest.mark.filterwarnings("ignore:pkg_resources")


def by_name(paths):
    return pytest.mark.parametrize("path", paths, ids=[path.stem for path in paths])


@pytest.fixture(autouse=True)
def _scope():
    init_default_scope("mmdet")


def test_the_promised_configs_are_there():
    assert [path.stem for path in CONFIGS] == NAMES


@by_name(CONFIGS)
def test_docstring(path):
    """What, expected result and the command; a full-size one also says on what hardware."""
    text = ast.get_docstring(ast.parse(path.read_text()))
    assert text.startswith("Mask R-CNN on ")
    assert f" configs/{path.name}" in text and "Expected: " in text
    others = [ROOT / "configs" / other for other in text.split() if other.startswith("mask-rcnn_")]
    assert all(other.exists() for other in others if other.suffix == ".py")


@by_name(TRANSFERRED)
def test_the_backbone_is_the_one_that_its_protocol_leaves(path):
    """Path, architecture, mean and std are those of the pretraining config that the error names."""
    config = Config.fromfile(path)
    init_cfg = config.model.backbone.init_cfg
    name = Path(init_cfg.made_by).stem
    assert init_cfg.checkpoint == f"work_dirs/{name}/{name}.pth"
    assert ("2step" in name) == ("_rbdc-" in path.name) != ("scratch" in name)
    pretraining = Config.fromfile(ROOT / init_cfg.made_by)
    pretrained = architecture_from_config(pretraining.model)
    detector = MODELS.build(dict(config.model.backbone, init_cfg=None)).architecture
    assert detector.differences(pretrained, ignore=HEADLESS) == []
    ours, theirs = config.model.data_preprocessor, pretraining.data_preprocessor
    assert list(ours.mean) == list(theirs.mean) and list(ours.std) == list(theirs.std)
    assert ours.bgr_to_rgb == theirs.to_rgb


@pytest.mark.parametrize(
    "kind", ["r50_coco", "deit-b_coco", "deit-micro_scenes", "resnet-micro_scenes"]
)
def test_rows_of_a_comparison_differ_in_the_start_of_the_backbone_only(kind):
    configs = []
    for path in CONFIGS:
        if path.stem.partition("-")[2].partition("-")[2] == kind:
            config = Config.fromfile(path)
            config.model.backbone.pop("init_cfg", None)
            configs.append(config.to_dict())
    assert len(configs) == (2 if kind.endswith("coco") else 3)
    assert all(config == configs[0] for config in configs)


@by_name([path for path in CONFIGS if "_scratch-" not in path.name])  # whose model is rbdc's
def test_it_builds_and_trains_whole(path):
    config = Config.fromfile(path)
    model = MODELS.build(config.model)
    assert all(parameter.requires_grad for parameter in model.parameters())
    norms = [
        m for m in model.backbone.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)
    ]
    model.train()
    assert all(norm.training for norm in norms)
    assert len(norms) == (0 if "deit" in path.name else len(norms)) and model.with_mask


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


def runner_of(path, scenes, work_dir, **backbone):
    """One epoch of two steps, then two scenes validated."""
    config = Config.fromfile(path)
    config.work_dir = str(work_dir)
    config.experiment_name = f"{path.stem}-{work_dir.name}"
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
    meta = dict(name="pretrained", method="rbdc", architecture=architecture.to_dict())
    file = publish(tmp_path / "pretrained", classifier.state_dict(), meta)["pth"]
    tensors = read_checkpoint(file).state_dict
    init_default_scope("mmdet")

    init_cfg = dict(type="mmrbdc.Transferred", checkpoint=str(file))
    path = ROOT / f"configs/mask-rcnn_rbdc-{family}-micro_scenes.py"
    runner = runner_of(path, scenes, tmp_path / family, init_cfg=init_cfg)
    snapshot = Snapshot()
    runner.register_hook(snapshot)
    runner.train()
    assert all(
        torch.equal(value, tensors[f"backbone.{name}"]) for name, value in snapshot.before.items()
    )
    before, after = snapshot.before, snapshot.after
    assert [name for name in before if torch.equal(before[name], after[name])] == []
    report = json.loads((tmp_path / family / "load_report.json").read_text())
    assert report["checkpoint"]["name"] == "pretrained" and report["load"]["share"] == 1
    scores = runner.test()
    assert {"coco/bbox_mAP", "coco/segm_mAP"} <= scores.keys()
    assert read_checkpoint(tmp_path / family / "epoch_1.pth").weights == "raw"


def test_random_weights_are_reported_as_such(scenes, tmp_path):
    path = ROOT / "configs/mask-rcnn_random-resnet-micro_scenes.py"
    runner = runner_of(path, scenes, tmp_path / "random")
    LoadReportHook().before_train(runner)
    report = json.loads((tmp_path / "random" / "load_report.json").read_text())
    assert report == {"checkpoint": None}


def test_a_missing_backbone_stops_the_run_before_it_trains(scenes, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = ROOT / "configs/mask-rcnn_scratch-deit-micro_scenes.py"
    runner = runner_of(path, scenes, tmp_path / "scratch")
    with pytest.raises(
        WeightsError,
        match=r"python tools/train\.py configs/baselines/deit-micro_scratch_digits\.py",
    ):
        runner.train()
    assert not list((tmp_path / "scratch").rglob("*.pth"))
