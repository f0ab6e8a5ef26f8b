"""Families are found by name, by config and by what they wrote."""

import json

import pytest

from mmrbdc.families import (
    FAMILIES,
    FamilyError,
    architecture_from_config,
    architecture_from_dict,
    get_family,
)


def test_families_by_name():
    assert set(FAMILIES) == {"deit", "resnet"}
    with pytest.raises(FamilyError, match="unknown family 'swin'; there is deit, resnet"):
        get_family("swin")


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
