"""What a protocol may say, and what is refused with which words."""

import copy
from fractions import Fraction

import pytest

from mmrbdc.methods import parse_protocol
from mmrbdc.plan import PlanError, check_image_sizes, with_epochs

CFG = {
    "protocol": {"method": "rbdc", "family": "deit", "train_samples": 1000},
    "stages": [
        {"members": 4, "width": 0.25, "epochs": 6},
        {"members": 2, "width": "1/2", "epochs": 2.5, "optim_wrapper": {"optimizer": {"lr": 1.0}}},
        {"members": 1, "width": 1, "iters": 7},
    ],
    "optim_wrapper": {"optimizer": {"lr": 2.0}},
}


def cfg(stage=None, stages=None, **protocol):
    """The valid config, one stage (index, changes), all stages, or protocol keys changed."""
    changed = copy.deepcopy(CFG)
    changed["protocol"].update(protocol)
    if stage is not None:
        changed["stages"][stage[0]].update(stage[1])
    if stages is not None:
        changed["stages"] = stages
    return changed


def test_reads_stages_lengths_and_overrides():
    protocol = parse_protocol(CFG, name="deit_2step")
    assert protocol.name == "deit_2step"
    assert [stage.members for stage in protocol.stages] == [4, 2, 1]
    assert [stage.width for stage in protocol.stages] == [Fraction(1, 4), Fraction(1, 2), 1]
    assert [(stage.epochs, stage.iters) for stage in protocol.stages] == [
        (6, None),
        (2.5, None),
        (None, 7),
    ]
    assert protocol.stages[1].overrides == {"optim_wrapper": {"optimizer": {"lr": 1.0}}}
    assert protocol.stages[0].overrides == {}


def test_defaults_are_the_papers():
    protocol = parse_protocol(CFG)
    assert protocol.operators == ("block-diagonal",) * 2
    assert protocol.parents == "raw"
    assert protocol.reference_epochs == 300


def test_overrides_are_copies():
    config = copy.deepcopy(CFG)
    parse_protocol(config).stages[1].overrides["optim_wrapper"]["optimizer"]["lr"] = 0.0
    assert config == CFG


def test_baseline_is_a_protocol_of_one_stage():
    protocol = parse_protocol(
        cfg(method="scratch", stages=[{"members": 1, "width": 1, "epochs": 300}])
    )
    assert len(protocol.stages) == 1


@pytest.mark.parametrize("width", [0.3333, "1/3", "0.3333"])
def test_widths_snap_to_simple_fractions(width):
    stages = [{"members": 3, "width": width, "epochs": 1}, {"members": 1, "width": 1, "epochs": 1}]
    assert parse_protocol(cfg(stages=stages)).stages[0].width == Fraction(1, 3)


def test_stages_of_less_depth_and_smaller_images():
    config = cfg(stage=(0, {"depth": "1/2", "img_size": 16}), depth_operator="adjacent")
    protocol = parse_protocol(config)
    assert [stage.depth for stage in protocol.stages] == [Fraction(1, 2), 1, 1]
    assert [stage.img_size for stage in protocol.stages] == [16, None, None]
    assert protocol.stages[0].overrides == {}
    assert protocol.depth_operator == "adjacent"
    assert parse_protocol(CFG).depth_operator == "stack"
    check_image_sizes(protocol.stages, (32, 32))


@pytest.mark.parametrize(
    ("sizes", "target", "words"),
    [
        ((24, 16, None), (32, 32), r"falls from 24 px in stages\[0\] to 16 px in stages\[1\]"),
        ((None, 16, None), (32, 32), "falls from 32 px"),
        ((64, 64, None), (32, 32), "falls from 64 px"),
        ((16, 16, 16), (32, 32), "img_size=16; it must be the target itself, whose images have 32"),
        ((16, None, None), (32, 48), "square images, but the config's are 32x48"),
    ],
)
def test_refuses_images_that_become_smaller(sizes, target, words):
    config = copy.deepcopy(CFG)
    for stage, size in zip(config["stages"], sizes, strict=True):
        stage["img_size"] = size
    with pytest.raises(PlanError, match=words):
        check_image_sizes(parse_protocol(config).stages, target)


@pytest.mark.parametrize("sizes", [(16, 16, None), (16, 24, 32), (None, None, 32), (32,) * 3])
def test_images_that_grow_or_stay(sizes):
    config = copy.deepcopy(CFG)
    for stage, size in zip(config["stages"], sizes, strict=True):
        stage["img_size"] = size
    check_image_sizes(parse_protocol(config).stages, (32, 32))


def test_none_unsets_a_length_as_a_command_line_needs_it():
    protocol = parse_protocol(cfg(stage=(0, {"epochs": None, "iters": 3})))
    assert protocol.stages[0].iters == 3


def test_with_epochs_replaces_every_length():
    protocol = with_epochs(parse_protocol(CFG), [1.5, 2.5, 3.5])
    assert [(stage.epochs, stage.iters) for stage in protocol.stages] == [
        (1.5, None),
        (2.5, None),
        (3.5, None),
    ]
    assert protocol.stages[1].overrides


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, "no 'protocol'"),
        ({"protocol": CFG["protocol"]}, "no 'stages'"),
        (cfg(stages=[]), "at least one"),
        (cfg(stages=[7]), r"stages\[0\] must be a dict"),
        (cfg(epochs=3), "unknown key 'epochs'"),
        (cfg(refrence_epochs=3), "did you mean 'reference_epochs'"),
        (cfg(method="magic"), "'magic'.*'rbdc'.*'scratch'"),
        (cfg(method="scratch"), "3 stage"),
        (cfg(stages=[{"members": 1, "width": 1, "epochs": 1}]), "1 stage"),
        (cfg(family="vgg"), "vgg"),
        (cfg(operator="net2net"), "'rbdc' grows by 'block-diagonal'; leave protocol.operator out"),
        (cfg(streams="matched"), "protocol.streams='matched': it was measured .*leave it out"),
        (cfg(norm_ramp=1), "protocol.norm_ramp=1: it was measured without a gain .*leave it out"),
        (cfg(parents="best"), "'best'.*'raw', 'ema'"),
        (cfg(reference_epochs=0), "reference_epochs is 0"),
        (cfg(train_samples=0.5), "train_samples is 0.5"),
        (cfg(stage=(0, {"members": 0})), r"stages\[0\].members is 0"),
        (cfg(stage=(0, {"members": 2.0})), r"stages\[0\].members is 2.0"),
        (cfg(stage=(0, {"members": 3})), r"3 members and stages\[1\] has 2"),
        (cfg(stage=(0, {"members": 2})), "at least 2"),
        (cfg(stage=(0, {"width": 0.5})), r"width 1/2.*sum to 1.*stages\[0\].width='1/4'"),
        (cfg(stage=(0, {"width": 0})), "above 0"),
        (cfg(stage=(0, {"width": 1.5})), "at most 1"),
        (cfg(stage=(0, {"width": "half"})), "'half'"),
        (cfg(stage=(0, {"width": "1/0"})), "'1/0'"),
        (cfg(stage=(0, {"width": 0.33})), "'1/3'"),
        (cfg(stage=(0, {"epochs": 0})), r"stages\[0\].epochs is 0"),
        (cfg(stage=(0, {"epochs": -1})), "-1"),
        (cfg(stage=(0, {"epochs": "ten"})), "'ten'"),
        (cfg(stage=(0, {"epochs": float("nan")})), "nan"),
        (cfg(stage=(0, {"epochs": True})), "True"),
        (cfg(stage=(2, {"iters": 0})), "iters is 0"),
        (cfg(stage=(2, {"iters": 1.5})), "iters is 1.5"),
        (cfg(stage=(0, {"iters": 5})), "epochs=6 and iters=5"),
        (cfg(stage=(0, {"epochs": None})), "neither"),
        (cfg(stage=(2, {"members": 2})), "members=2"),
        (cfg(stage=(0, {"depth": 0})), r"stages\[0\].depth is 0.*above 0"),
        (cfg(stage=(0, {"depth": "half"})), "'half'"),
        (cfg(stage=(2, {"depth": "1/2"})), "the last stage has depth=1/2"),
        (
            cfg(stage=(1, {"depth": "1/2"})),
            r"falls from 1 in stages\[0\] to 1/2 in stages\[1\].*stages\[0\].depth='1/2'",
        ),
        (cfg(stage=(0, {"img_size": 0})), r"stages\[0\].img_size is 0"),
        (cfg(stage=(0, {"img_size": [16, 16]})), "img_size is"),
        (cfg(depth_operator="mirror"), "'mirror'.*'stack', 'adjacent', 'adjacent-last'"),
        (cfg(stage=(0, {"optim_wraper": {}})), "did you mean 'optim_wrapper'"),
        (cfg(stages=[{"width": 1, "epochs": 1}]), "no 'members'"),
        (cfg(stages=[{"members": 1, "epochs": 1}]), "no 'width'"),
    ],
)
def test_refuses(config, words):
    with pytest.raises(ValueError, match=words):
        parse_protocol(config)


def test_a_key_that_is_gone_may_say_what_happens_anyway():
    """As configs that earlier versions wrote into work dirs do."""
    old = cfg(operator="block-diagonal", streams="plain", norm_ramp=0)
    assert parse_protocol(old) == parse_protocol(CFG)


def test_refuses_a_protocol_without_family_with_its_own_error():
    config = cfg()
    del config["protocol"]["family"]
    with pytest.raises(PlanError, match=r"protocol\.family"):
        parse_protocol(config)


MIXTURES = [{"members": 2, "width": "1/2", "epochs": 2}, {"members": 1, "width": 1, "epochs": 1}]


def test_mixture_growth_has_one_junction_of_two_members():
    for method in ("mixture-growth", "mixture-growth-copy"):
        protocol = parse_protocol(cfg(stages=MIXTURES, method=method))
        assert protocol.operators == (method,) and len(protocol.stages) == 2


@pytest.mark.parametrize(
    "stages, words",
    [
        (CFG["stages"], "3 stages of 4, 2, 1 members; it joins two mixtures"),
        ([{**MIXTURES[0], "members": 4, "width": "1/4"}, MIXTURES[1]], "2 stages of 4, 1 members"),
        ([{**MIXTURES[0], "depth": "1/2"}, MIXTURES[1]], r"stages\[0\] has depth=1/2, but mixture"),
        ([MIXTURES[0], {**MIXTURES[1], "img_size": 224}], r"stages\[1\] has img_size=224"),
        ([MIXTURES[1]], "every other method at least two"),
    ],
)
def test_mixture_growth_refuses_other_stages(stages, words):
    with pytest.raises(PlanError, match=words):
        parse_protocol(cfg(stages=stages, method="mixture-growth"))
