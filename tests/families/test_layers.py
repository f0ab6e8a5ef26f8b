"""Which layer each parameter of a backbone belongs to, on MMPretrain's real models."""

import pytest

from mmrbdc.families import FamilyError, architecture_from_config

DEITS = {
    "plain": {},
    "distilled": dict(backbone="DistilledVisionTransformer", head="DeiTClsHead"),
    "layer scale, pre-norm": dict(layer_scale_init_value=0.1, pre_norm=True),
    "pooled": dict(head="LinearClsHead", out_type="avg_featmap", final_norm=False),
    "both norms": dict(head="LinearClsHead", out_type="avg_featmap"),
}
RESNETS = {
    "18": {},
    "V1c": dict(backbone="ResNetV1c", depth=50),
    "V1d": dict(backbone="ResNetV1d"),
    "3 stages": dict(num_stages=3, out_indices=(2,), strides=(1, 2, 2), dilations=(1, 1, 1)),
}


def layers(zoo, config):
    """The layer of every parameter of a config's backbone, and the architecture."""
    architecture = architecture_from_config(config)
    names = [name for name, _ in zoo.build(config).backbone.named_parameters()]
    return {name: architecture.layer_of(name) for name in names}, architecture


@pytest.mark.parametrize("kind", DEITS)
def test_a_deits_layers_are_its_blocks(zoo, kind):
    found, architecture = layers(zoo, zoo.deit(**DEITS[kind]))
    assert architecture.num_layers == 2 and set(found.values()) == {0, 1, 2, 3}
    for name, layer in found.items():
        first, number, *_ = name.split(".") if "." in name else (name, "")
        if first == "layers":
            assert layer == int(number) + 1
        else:
            assert layer == (3 if first in ("ln1", "ln2") else 0), name


@pytest.mark.parametrize("kind", RESNETS)
def test_a_resnets_layers_are_its_stages(zoo, kind):
    found, architecture = layers(zoo, zoo.resnet(**RESNETS[kind]))
    stages = architecture.num_stages
    assert architecture.num_layers == stages and set(found.values()) == set(range(stages + 1))
    for name, layer in found.items():
        first = name.partition(".")[0]
        assert layer == (int(first[-1]) if first.startswith("layer") else 0), name


@pytest.mark.parametrize(
    "family, name",
    [
        ("deit", "layers.2.ln1.weight"),
        ("deit", "layers"),
        ("deit", "ln2.weight"),
        ("deit", "head.weight"),
        ("resnet", "layer5.0.conv1.weight"),
        ("resnet", "fc.weight"),
    ],
)
def test_a_stranger_is_in_no_layer(zoo, family, name):
    architecture = architecture_from_config(getattr(zoo, family)())
    with pytest.raises(FamilyError, match=name):
        architecture.layer_of(name)
