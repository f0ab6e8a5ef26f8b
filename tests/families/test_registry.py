"""Families are found by name, by config and by what they wrote."""

import json

import pytest
from mmengine.config import Config

from mmrbdc.engine.checks.target import check_target
from mmrbdc.families import (
    FAMILIES,
    FamilyError,
    architecture_from_backbone,
    architecture_from_config,
    architecture_from_dict,
    get_family,
)
from mmrbdc.methods import parse_protocol
from mmrbdc.plan import PlanError


def test_families_by_name():
    assert set(FAMILIES) == {"deit", "resnet"}
    with pytest.raises(FamilyError, match="unknown family 'swin'; there is deit, resnet"):
        get_family("swin")


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_by_name_has_that_name(name):
    family = get_family(name)
    assert family.name == name == family.architecture.family
    assert {"mmpretrain", "timm", "torchvision", "huggingface"} == {
        library for dialect in family.dialects for library in dialect.libraries
    }


@pytest.mark.parametrize("scope", ["", "mmpretrain."])
def test_families_by_config(zoo, scope):
    for config, family in ((zoo.deit(), "deit"), (zoo.resnet(), "resnet")):
        config["backbone"]["type"] = scope + config["backbone"]["type"]
        assert architecture_from_config(config).family == family


def test_a_type_may_be_a_class(zoo):
    from mmpretrain.models import VisionTransformer

    config = zoo.deit()
    config["backbone"]["type"] = VisionTransformer
    assert architecture_from_config(config) == architecture_from_config(zoo.deit())


@pytest.mark.parametrize("family", ["deit", "resnet"])
def test_dicts_are_plain_json_and_come_back(zoo, family):
    arch = architecture_from_config(getattr(zoo, family)())
    assert architecture_from_dict(json.loads(json.dumps(arch.to_dict()))) == arch


@pytest.mark.parametrize(
    "family, options",
    [
        ("deit", {}),
        ("deit", dict(backbone="DistilledVisionTransformer", head="DeiTClsHead")),
        ("resnet", dict(backbone="ResNetV1d")),
    ],
)
def test_a_backbone_alone_has_an_architecture(zoo, family, options):
    config = getattr(zoo, family)(**options)
    whole, alone = architecture_from_config(config), architecture_from_backbone(config["backbone"])
    assert alone.differences(whole, ignore=whole.head_fields) == []
    assert alone.differences(whole)  # the twin: its head is not the classifier's


def test_what_no_run_can_train_says_so(zoo):
    distilled = zoo.deit(backbone="DistilledVisionTransformer", head="DeiTClsHead")
    assert "DeiTClsHead" in architecture_from_config(distilled).not_trained
    for config in (zoo.deit(), zoo.resnet()):
        assert architecture_from_config(config).not_trained is None
    protocol = dict(method="rbdc", family="deit", reference_epochs=2)
    stages = [dict(members=2, width="1/2", epochs=1), dict(members=1, width=1, epochs=1)]
    cfg = Config(dict(model=distilled, protocol=protocol, stages=stages))
    with pytest.raises(PlanError, match="deit 2x32.* couples .* but is not trained here: DeiTCls"):
        check_target(cfg, parse_protocol(cfg, name="distilled"))


def test_dicts_of_another_version_are_refused(zoo):
    values = architecture_from_config(zoo.deit()).to_dict()
    del values["num_heads"]
    with pytest.raises(FamilyError, match=r"missing \['num_heads'\], unknown \['heads'\]"):
        architecture_from_dict({**values, "heads": 4})


def test_configs_of_no_family_are_refused(zoo):
    with pytest.raises(FamilyError, match="SwinTransformer belongs to no family"):
        architecture_from_config({**zoo.deit(), "backbone": dict(type="SwinTransformer")})
    with pytest.raises(FamilyError, match="the model is a MaskRCNN"):
        architecture_from_config(dict(type="MaskRCNN", backbone=zoo.resnet()["backbone"]))
    with pytest.raises(FamilyError, match="head is None"):
        architecture_from_config({**zoo.deit(), "head": None})
    with pytest.raises(FamilyError, match="backbone is None"):
        architecture_from_config(dict(type="ImageClassifier"))
