"""Weights enter a detector's backbone strictly, survive its initialisation, and are reported."""

import json

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.model import BaseModule

from mmrbdc.weights import WeightsError, save_member


class PlainLoad:
    """What a user would write first: loads, and protects nothing."""

    def __init__(self, tensors):
        self.tensors = tensors

    def __call__(self, module):
        module.load_state_dict(self.tensors)


class Detector(BaseModule):
    """A backbone under a module with an initialiser of its own, as in a detector."""

    def __init__(self, backbone):
        super().__init__(init_cfg=dict(type="Normal", layer=["Linear", "Conv2d"], std=0.5))
        self.backbone = MODELS.build(backbone)


def changed(module, tensors):
    own = module.state_dict()
    assert own.keys() == tensors.keys()
    return sorted(name for name in own if not torch.equal(own[name], tensors[name]))


@pytest.mark.parametrize("name", ["deit", "resnet-18", "resnet-50", "resnetv1d-50"])
def test_every_tensor_survives_the_initialisation(grown_files, name):
    grown = grown_files[name]
    detector = Detector(grown.transferred())
    assert changed(detector.backbone, grown.backbone_tensors())
    detector.init_weights()
    assert changed(detector.backbone, grown.backbone_tensors()) == []


@pytest.mark.parametrize(
    "name, lost", [("deit", ["pos_embed", "ffn"]), ("resnet-18", ["bn2"]), ("resnet-50", ["bn3"])]
)
def test_mmpretrains_backbones_would_lose_some(grown_files, name, lost):
    """The twin: the same load into MMPretrain's own class is re-randomised in part."""
    grown = grown_files[name]
    kind = grown.backbone_cfg["type"].replace("mmrbdc.DeiT", "mmpretrain.VisionTransformer")
    init_cfg = dict(type=PlainLoad, tensors=grown.backbone_tensors())
    backbone = dict(
        grown.backbone_cfg, type=kind.replace("mmrbdc.", "mmpretrain."), init_cfg=init_cfg
    )
    detector = Detector(backbone)
    detector.init_weights()
    gone = changed(detector.backbone, grown.backbone_tensors())
    assert all(any(part in name for name in gone) for part in lost)


def test_report(grown_files):
    grown = grown_files["deit"]
    backbone = MODELS.build(grown.transferred())
    assert backbone.load_report is None
    backbone.init_weights()
    report = json.loads(json.dumps(backbone.load_report))
    assert report["checkpoint"]["name"] == "deit" and report["checkpoint"]["method"] == "rbdc"
    assert report["checkpoint"]["train_flops"] == 1e9
    assert (
        report["checkpoint"]["prefix"] == "backbone." and report["checkpoint"]["weights"] == "raw"
    )
    assert len(report["checkpoint"]["sha256"]) == 64
    assert report["load"]["share"] == 1
    assert report["load"]["num_matched"] == len(grown.backbone_tensors())


def test_bare_file(grown_files, tmp_path):
    """A backbone-only file without meta fits by names and shapes."""
    grown = grown_files["resnet-18"]
    torch.save(grown.backbone_tensors(), tmp_path / "bare.pth")
    init_cfg = dict(type="mmrbdc.Transferred", checkpoint=str(tmp_path / "bare.pth"))
    backbone = MODELS.build(dict(grown.backbone_cfg, init_cfg=init_cfg))
    backbone.init_weights()
    assert changed(backbone, grown.backbone_tensors()) == []
    assert backbone.load_report["checkpoint"]["prefix"] == ""


def test_missing_file_says_how_to_make_it(grown_files):
    init_cfg = dict(
        type="mmrbdc.Transferred",
        checkpoint="work_dirs/x/x.pth",
        made_by="configs/rbdc/deit-micro_2step_digits.py",
    )
    backbone = MODELS.build(dict(grown_files["deit"].backbone_cfg, init_cfg=init_cfg))
    with pytest.raises(
        WeightsError,
        match=r"work_dirs/x/x\.pth does not exist; make it with: "
        r"python tools/train\.py configs/rbdc/deit-micro_2step_digits\.py",
    ):
        backbone.init_weights()


NARROW = dict(embed_dims=16, num_layers=2, num_heads=2, feedforward_channels=32)
DEEP = dict(embed_dims=32, num_layers=3, num_heads=4, feedforward_channels=64)
TWO_HEADS = dict(embed_dims=32, num_layers=2, num_heads=2, feedforward_channels=64)


@pytest.mark.parametrize(
    "name, changes, message",
    [
        ("deit", dict(arch=NARROW), "embed_dims is 32 instead of 16"),
        ("deit", dict(arch=DEEP), "depth is 2 instead of 3"),
        ("deit", dict(arch=TWO_HEADS), "head size is 8 instead of 16"),
        ("deit", dict(patch_size=4), r"patch_size is \(8, 8\) instead of \(4, 4\)"),
        ("deit", dict(img_size=64), r"img_size is \(32, 32\) instead of \(64, 64\)"),
        ("resnet-18", dict(base_channels=16), "base_channels is 8 instead of 16"),
        ("resnet-50", dict(depth=18), "depth is 50 instead of 18"),
        ("resnet-50", dict(style="caffe"), "style is pytorch instead of caffe"),
        ("resnet-50", dict(type="mmrbdc.ResNetV1d"), "deep_stem is False instead of True"),
    ],
)
def test_another_architecture_is_refused(grown_files, name, changes, message):
    backbone = MODELS.build(dict(grown_files[name].transferred(), **changes))
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    with pytest.raises(WeightsError, match=message):
        backbone.init_weights()
    assert changed(backbone, before) == []


def test_another_family_is_refused(grown_files):
    init_cfg = grown_files["deit"].transferred()["init_cfg"]
    backbone = MODELS.build(dict(grown_files["resnet-18"].backbone_cfg, init_cfg=init_cfg))
    with pytest.raises(WeightsError, match="family is deit instead of resnet"):
        backbone.init_weights()


def test_tensors_that_do_not_fit_are_refused(grown_files, tmp_path):
    """Meta may be wrong: names and shapes are compared in any case."""
    grown = grown_files["resnet-18"]
    tensors = {f"backbone.{name}": value for name, value in grown.backbone_tensors().items()}
    del tensors["backbone.bn1.weight"]
    save_member(tmp_path / "a.pth", tensors, {})
    init_cfg = dict(type="mmrbdc.Transferred", checkpoint=str(tmp_path / "a.pth"))
    backbone = MODELS.build(dict(grown.backbone_cfg, init_cfg=init_cfg))
    with pytest.raises(WeightsError, match=r"missing in the file: bn1\.weight"):
        backbone.init_weights()


def test_it_stands_alone_and_on_a_backbone(grown_files):
    grown = grown_files["resnet-18"]
    alone = grown.transferred()["init_cfg"]
    listed = dict(grown.backbone_cfg, init_cfg=[alone, dict(type="Kaiming", layer="Conv2d")])
    with pytest.raises(WeightsError, match="let it stand alone"):
        MODELS.build(listed).init_weights()
    one = MODELS.build(dict(grown.backbone_cfg, init_cfg=[alone]))
    one.init_weights()
    assert changed(one, grown.backbone_tensors()) == []
    neck = MODELS.build(
        dict(type="FPN", in_channels=[8], out_channels=8, num_outs=1, init_cfg=alone)
    )
    with pytest.raises(WeightsError, match="is the init_cfg of a FPN"):
        neck.init_weights()
