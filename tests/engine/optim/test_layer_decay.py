"""Layer-wise lr decay in real detectors: every parameter's rate, few groups, and clear refusals."""

import copy
import logging
import re
from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.optim import CosineAnnealingLR, LinearLR, MultiStepLR, build_optim_wrapper
from mmengine.registry import init_default_scope

from mmrbdc.engine import LayerDecayError, LayerDecayOptimWrapperConstructor
from mmrbdc.engine.optim.layer_decay import parameter_layers
from mmrbdc.models.backbones import ResNet

pytestmark = pytest.mark.numeric

MODEL_CONFIGS = Path(__file__).parents[3] / "configs" / "_base_" / "models"
LR, WEIGHT_DECAY, RATE = 1.0, 0.25, 0.5
DEPTH = 4
"""Blocks of the micro DeiT, and stages of a ResNet."""
DETECTORS = ("deit", "resnet", "retinanet")


@pytest.fixture(scope="module", autouse=True)
def _detection_scope(_classification_scope):
    init_default_scope("mmdet")


@pytest.fixture(scope="module")
def configs(tmp_path_factory):
    """Model configs of two micro Mask R-CNNs and of a RetinaNet with a narrow ResNetV1d-50."""
    micro = {
        family: Config.fromfile(MODEL_CONFIGS / f"mask-rcnn_{family}-micro.py").model
        for family in ("deit", "resnet")
    }
    file = tmp_path_factory.mktemp("configs") / "retinanet.py"
    file.write_text("_base_ = 'mmdet::_base_/models/retinanet_r50_fpn.py'")
    retinanet = Config.fromfile(file).model
    retinanet.backbone = dict(
        type="mmrbdc.ResNetV1d",
        depth=50,
        base_channels=4,
        stem_channels=4,
        out_indices=(0, 1, 2, 3),
    )
    retinanet.neck.update(in_channels=[16, 32, 64, 128], out_channels=8)
    retinanet.bbox_head.update(in_channels=8, feat_channels=8, num_classes=3)
    return {**micro, "retinanet": retinanet}


def built(configs, family, **backbone):
    config = copy.deepcopy(configs[family])
    config.backbone.update(backbone)
    return MODELS.build(config)


def wrapper(model, optimizer=None, constructor=None, **paramwise):
    optimizer = optimizer or dict(type="SGD", lr=LR, weight_decay=WEIGHT_DECAY)
    return build_optim_wrapper(
        model,
        dict(
            optimizer=optimizer,
            constructor=constructor or "mmrbdc.LayerDecayOptimWrapperConstructor",
            paramwise_cfg=dict(dict(decay_rate=RATE), **paramwise),
        ),
    )


def options(model, built_wrapper):
    """Name -> (lr, weight decay) as the optimizer holds them, each parameter once."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found = {}
    for group in built_wrapper.optimizer.param_groups:
        for parameter in group["params"]:
            assert names[id(parameter)] not in found
            found[names[id(parameter)]] = (group["lr"], group["weight_decay"])
    return found


def layer_by_hand(name):
    """The layer that a parameter's name says, written down apart from the backbones."""
    if re.match(r"backbone\.(cls_token|pos_embed|patch_embed|conv1|bn1|stem)", name):
        return 0
    block = re.match(r"backbone\.layers\.(\d+)\.", name)
    if block:
        return int(block[1]) + 1
    stage = re.match(r"backbone\.layer(\d)\.", name)
    if stage:
        return int(stage[1])
    assert name.startswith(("backbone.ln1.", "neck.", "rpn_head.", "roi_head.", "bbox_head."))
    return DEPTH + 1


def rates_are_right(model, built_wrapper):
    rates = {name: lr for name, (lr, _) in options(model, built_wrapper).items()}
    return rates == {
        name: LR * RATE ** (DEPTH + 1 - layer_by_hand(name))
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }


@pytest.mark.parametrize("family", DETECTORS)
def test_every_parameter_has_the_rate_of_its_layer(configs, family):
    model = built(configs, family)
    built_wrapper = wrapper(model)
    assert rates_are_right(model, built_wrapper)
    assert len(set(options(model, built_wrapper).values())) == DEPTH + 2


class LateResNet(ResNet):
    """The twin: every stage one layer too late."""

    def layer_of(self, name):
        return super().layer_of(name) + 1


class FlatResNet(ResNet):
    """All in one layer."""

    def layer_of(self, name):
        return 1


class ForgetfulResNet(ResNet):
    """Its second stage has no layer."""

    def layer_of(self, name):
        if name.startswith("layer2."):
            raise ValueError("no such stage")
        return super().layer_of(name)


class DeepResNet(ResNet):
    """A layer above neck and heads."""

    def layer_of(self, name):
        return super().layer_of(name) * 2


@pytest.fixture
def resnet_of_class(configs):
    def make(kind, **backbone):
        return built(configs, "resnet", type=kind, **backbone)

    return make


def test_twins_with_wrong_layers_have_other_rates(configs, resnet_of_class):
    late = resnet_of_class(LateResNet)
    assert not rates_are_right(late, wrapper(late))
    model = built(configs, "resnet")
    stock = build_optim_wrapper(
        model, dict(optimizer=dict(type="SGD", lr=LR, weight_decay=WEIGHT_DECAY))
    )
    assert not rates_are_right(model, stock)


@pytest.mark.parametrize("family", DETECTORS)
def test_a_step_moves_a_parameter_by_its_rate(configs, family):
    model = built(configs, family)
    optimizer = wrapper(model, dict(type="SGD", lr=LR)).optimizer
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    for name, parameter in model.named_parameters():
        rate = LR * RATE ** (DEPTH + 1 - layer_by_hand(name))
        torch.testing.assert_close(parameter.detach(), before[name] - rate)


def test_weight_decay(configs):
    """Norms, biases, tokens and custom keys; custom keys win over the rest."""
    model = built(configs, "deit")
    custom = {"neck": dict(lr_mult=0.5), "layers.1.attn.proj": dict(decay_mult=2.0)}
    built_wrapper = wrapper(
        model, norm_decay_mult=0.0, bias_decay_mult=0.0, token_decay_mult=0.0, custom_keys=custom
    )
    found = options(model, built_wrapper)
    assert found["backbone.pos_embed"] == found["backbone.cls_token"] == (RATE**5, 0.0)
    assert found["backbone.patch_embed.projection.weight"] == (RATE**5, WEIGHT_DECAY)
    assert found["backbone.layers.0.ln1.weight"] == (RATE**4, 0.0)
    assert found["backbone.layers.1.attn.qkv.bias"] == (RATE**3, 0.0)
    assert found["backbone.layers.1.attn.qkv.weight"] == (RATE**3, WEIGHT_DECAY)
    assert found["backbone.layers.1.attn.proj.bias"] == (RATE**3, 2 * WEIGHT_DECAY)
    assert found["backbone.ln1.weight"] == (LR, 0.0)
    necks = {value for name, value in found.items() if name.startswith("neck.")}
    assert necks == {(0.5, WEIGHT_DECAY)}
    assert found["rpn_head.rpn_conv.weight"] == (LR, WEIGHT_DECAY)
    plain = options(model, wrapper(model))
    assert {decay for _, decay in plain.values()} == {WEIGHT_DECAY}


def test_relative_positions_are_tables(configs):
    options_of_backbone = dict(window_size=2, global_blocks=2, rel_pos=True, with_cls_token=False)
    model = built(configs, "deit", **options_of_backbone)
    found = options(model, wrapper(model, token_decay_mult=0.0))
    assert found["backbone.layers.1.attn.rel_pos_h"] == (RATE**3, 0.0)
    assert found["backbone.layers.1.attn.rel_pos_w"] == (RATE**3, 0.0)
    assert found["backbone.layers.1.attn.qkv.weight"] == (RATE**3, WEIGHT_DECAY)


def test_groups_are_few(configs):
    """One for each pair of rate and weight decay that occurs, and nothing else in them."""
    model = built(configs, "deit")
    built_wrapper = wrapper(model, norm_decay_mult=0.0, token_decay_mult=0.0)
    groups = built_wrapper.optimizer.param_groups
    assert len(groups) == len({(group["lr"], group["weight_decay"]) for group in groups})
    assert len(groups) <= 2 * (DEPTH + 2) < len(list(model.parameters()))
    assert not {"lr_mult", "decay_mult", "lr_scale"} & set().union(*groups)


@pytest.fixture
def log():
    """The lines that the current logger receives."""
    lines = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    yield lines
    logger.removeHandler(handler)
    logger.setLevel(level)


def test_one_line_a_layer(configs, log):
    model = built(configs, "resnet", policy="frozen")
    wrapper(model, norm_decay_mult=0.0)
    lines = [line for line in log if line.startswith("layer ")]
    assert lines == [line for line in log if "layer" in line and "paramwise" not in line]
    assert [line.split(":")[0] for line in lines] == [f"layer {i}" for i in range(DEPTH + 2)]
    assert lines[0] == "layer 0: lr scale 0.03125, frozen or without parameters"
    third = dict(model.backbone.layer3.named_parameters())
    numbers = sum(p.numel() for p in third.values())
    assert lines[3] == (
        f"layer 3: lr scale 0.25, weight decay 0 and 0.25, {len(third)} tensors, "
        f"{numbers:,} parameters"
    )
    assert not any("requires_grad" in line for line in log)


@pytest.mark.parametrize(
    "family, frozen, options_of_backbone",
    [
        ("resnet", ("conv1", "bn1", "layer1"), dict(policy="frozen")),
        ("deit", ("patch_embed", "pos_embed", "cls_token", "layers.0"), dict(frozen_stages=1)),
    ],
)
def test_frozen_parameters_are_left_out(configs, family, frozen, options_of_backbone):
    model = built(configs, family, **options_of_backbone)
    found = options(model, wrapper(model))
    prefixes = tuple(f"backbone.{name}" for name in frozen)
    assert found.keys() == {
        name for name, _ in model.named_parameters() if not name.startswith(prefixes)
    }


@pytest.mark.parametrize(
    "kind, keeps, arguments",
    [
        (LinearLR, True, dict(start_factor=0.1, begin=0, end=8)),
        (MultiStepLR, True, dict(milestones=[2, 4], gamma=0.1)),
        (CosineAnnealingLR, True, dict(T_max=5, eta_min=0.0)),
        (CosineAnnealingLR, True, dict(T_max=5, eta_min_ratio=0.1)),
        (CosineAnnealingLR, False, dict(T_max=5, eta_min=0.01)),  # the twin: it adds
    ],
)
def test_schedulers_that_multiply_keep_the_ratios(configs, kind, keeps, arguments):
    optimizer = wrapper(built(configs, "resnet")).optimizer
    start = [group["lr"] for group in optimizer.param_groups]
    scheduler = kind(optimizer, by_epoch=False, **arguments)
    kept = []
    for _ in range(4):
        optimizer.step()
        scheduler.step()
        now = [group["lr"] for group in optimizer.param_groups]
        factors = [a / b for a, b in zip(now, start, strict=True)]
        kept.append(factors == pytest.approx([factors[0]] * len(factors)))
    assert all(kept) == keeps
    assert now != start


def test_a_classifier_with_our_backbone(configs):
    init_default_scope("mmpretrain")
    backbone = dict(type="mmrbdc.ResNet", depth=18, base_channels=8, stem_channels=8)
    model = MODELS.build(
        dict(
            type="mmpretrain.ImageClassifier",
            backbone=backbone,
            neck=dict(type="mmpretrain.GlobalAveragePooling"),
            head=dict(type="mmpretrain.LinearClsHead", num_classes=3, in_channels=64),
        )
    )
    init_default_scope("mmdet")
    found = options(model, wrapper(model))
    assert found["backbone.conv1.weight"][0] == RATE**5 and found["head.fc.weight"][0] == LR


def test_shared_modules(configs):
    model = built(configs, "resnet")
    model.roi_head.again = model.rpn_head
    with pytest.raises(LayerDecayError, match="several modules: set .*bypass_duplicate=True"):
        wrapper(model)
    assert (
        options(model, wrapper(model, bypass_duplicate=True)).keys()
        == dict(model.named_parameters()).keys()
    )


@pytest.mark.parametrize(
    "kind, message",
    [
        (FlatResNet, "all parameters of the backbone FlatResNet are in layer 1"),
        (ForgetfulResNet, r"backbone\.layer2\.0\.conv1\.weight has no layer: no such stage"),
        (DeepResNet, r"backbone\.layer3\.0\.conv1\.weight is in layer 6, .* layers 0 to 5"),
        ("mmpretrain.ResNet", "backbone of MaskRCNN is ResNet, which has no layer_of"),
    ],
)
def test_a_backbone_with_wrong_layers_is_refused(resnet_of_class, kind, message):
    with pytest.raises(LayerDecayError, match=message):
        wrapper(resnet_of_class(kind))


def test_an_unknown_name_has_no_layer(configs):
    model = built(configs, "resnet")
    model.backbone.adapter = torch.nn.Linear(2, 2)
    with pytest.raises(LayerDecayError, match=r"backbone\.adapter\.weight has no layer: a ResNet"):
        parameter_layers(model)


def test_mmpretrains_constructor_takes_no_detector(configs):
    """Why there is a constructor here."""
    constructor = "mmpretrain.LearningRateDecayOptimWrapperConstructor"
    with pytest.raises(NotImplementedError, match="get_layer_depth"):
        wrapper(built(configs, "resnet"), constructor=constructor)


@pytest.mark.parametrize(
    "paramwise, message",
    [
        (None, "decay_rate is None"),
        (dict(decay_rate=0.0), r"decay_rate is 0\.0: give a number above 0"),
        (dict(decay_rate=1.1), r"decay_rate is 1\.1"),
        (dict(decay_rate="0.7"), "decay_rate is '0.7'"),
        (dict(layer_decay_rate=0.7), "unknown key .layer_decay_rate.; did you mean .decay_rate."),
        (dict(decay_rate=0.7, num_layers=12), "unknown key .num_layers.; known: .decay_rate., "),
        (
            dict(decay_rate=0.7, custom_keys={"neck": dict(lr=1.0)}),
            r"custom_keys\['neck'\] has an unknown key .lr.; .*.lr_mult.",
        ),
    ],
)
def test_bad_options_are_refused(paramwise, message):
    config = dict(optimizer=dict(type="SGD", lr=LR, weight_decay=WEIGHT_DECAY))
    with pytest.raises(LayerDecayError, match=message):
        LayerDecayOptimWrapperConstructor(config, paramwise)


def test_an_optimizer_without_what_is_scaled_is_refused():
    paramwise = dict(decay_rate=0.7, custom_keys={"neck": dict(decay_mult=0.0)})
    with pytest.raises(LayerDecayError, match=r"no weight_decay, .* custom_keys\['neck'\]"):
        LayerDecayOptimWrapperConstructor(dict(optimizer=dict(type="SGD", lr=LR)), paramwise)
    with pytest.raises(LayerDecayError, match="has no lr"):
        LayerDecayOptimWrapperConstructor(dict(optimizer=dict(type="SGD")), dict(decay_rate=0.7))
