"""ResNet: names and shapes are MMPretrain's, and coupling is exact."""

import pytest
import torch

from mmrbdc.families import FamilyError, ResNetArchitecture, architecture_from_config
from mmrbdc.growth import grow
from tests.numerics import assert_float32

pytestmark = pytest.mark.numeric

# Written by hand from MMPretrain 1.2.0, so that a rename upstream fails here and not at a user's.
RESNET50_ANCHORS = {
    "backbone.conv1.weight": (64, 3, 7, 7),
    "backbone.bn1.running_var": (64,),
    "backbone.layer1.0.conv1.weight": (64, 64, 1, 1),
    "backbone.layer1.0.downsample.0.weight": (256, 64, 1, 1),
    "backbone.layer1.0.downsample.1.num_batches_tracked": (),
    "backbone.layer3.5.conv2.weight": (256, 256, 3, 3),
    "backbone.layer4.2.bn3.bias": (2048,),
    "head.fc.weight": (1000, 2048),
    "head.fc.bias": (1000,),
}
RESNETV1D50_ANCHORS = {
    "backbone.stem.0.conv.weight": (32, 3, 3, 3),
    "backbone.stem.1.bn.running_mean": (32,),
    "backbone.stem.2.conv.weight": (64, 32, 3, 3),
    "backbone.layer1.0.downsample.0.weight": (256, 64, 1, 1),
    "backbone.layer2.0.downsample.1.weight": (512, 256, 1, 1),
    "backbone.layer2.0.downsample.2.weight": (512,),
}
RESNET18_ANCHORS = {
    "backbone.layer1.0.conv1.weight": (64, 64, 3, 3),
    "backbone.layer2.0.downsample.0.weight": (128, 64, 1, 1),
    "head.fc.weight": (1000, 512),
}

VARIANTS = [
    dict(depth=18),
    dict(depth=18, stem_channels=32),
    dict(depth=34),
    dict(depth=50),
    dict(depth=50, expansion=2),
    dict(depth=50, style="caffe"),
    dict(backbone="ResNetV1c", depth=50),
    dict(backbone="ResNetV1d", depth=50),
    dict(backbone="ResNetV1d", depth=18, strides=(2, 2, 1, 2)),
    dict(depth=18, num_stages=3, strides=(1, 2, 2), dilations=(1, 1, 1), out_indices=(2,)),
    dict(depth=50, num_stages=1, strides=(1,), dilations=(1,), out_indices=(0,)),
    dict(depth=18, norm_cfg=dict(type="SyncBN", requires_grad=True)),
]


@pytest.mark.parametrize(
    ("name", "count", "anchors"),
    [
        ("resnet/resnet18_8xb32_in1k.py", 122, RESNET18_ANCHORS),
        ("resnet/resnet50_8xb32_in1k.py", 320, RESNET50_ANCHORS),
        ("resnet/resnetv1c50_8xb32_in1k.py", 332, {}),
        ("resnet/resnetv1d50_8xb32_in1k.py", 332, RESNETV1D50_ANCHORS),
    ],
)
def test_layouts_have_the_names_and_shapes_of_mmpretrain(zoo, name, count, anchors):
    layout = architecture_from_config(zoo.stock(name)).layout()
    shapes = {tensor: layout.shape(tensor) for tensor in layout.entries}
    assert len(shapes) == count
    assert shapes.items() >= anchors.items()
    built = zoo.build(zoo.stock(name)).state_dict()
    assert shapes == {tensor: tuple(value.shape) for tensor, value in built.items()}


def coupled(zoo, config, fractions=(0.5, 0.5), dtype=torch.float64):
    """Parents of these widths and the child that they are coupled to, in eval mode."""
    arch = architecture_from_config(config)
    archs = [arch.scaled(fraction) for fraction in fractions]
    arch.check_parents(archs)
    parents = [
        zoo.build(a.classifier_config(config), seed).to(dtype) for seed, a in enumerate(archs)
    ]
    result = grow([parent.state_dict() for parent in parents], arch.layout())
    child = zoo.build(config).to(dtype)
    child.load_state_dict(result.state_dict)
    return parents, child


def assert_mean_of_parents(zoo, parents, child, size=48):
    """1e-10 relative in float64; float32 is off by what its arithmetic may do."""
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    if next(child.parameters()).dtype == torch.float64:
        error = zoo.mean_error(child, parents, images.double())
        assert error < 1e-10, error
        return
    with torch.no_grad():
        single = child(images)
        mean = torch.stack([parent.double()(images.double()) for parent in parents]).mean(0)
        child.double()
        assert_float32(lambda: child(images.double()), [single], mean)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_two_half_width_resnet50_give_the_mean_of_their_logits(zoo, dtype):
    stock = zoo.stock("resnet/resnet50_8xb32_in1k.py")
    config = stock if dtype == torch.float64 else zoo.resnet(depth=50)
    parents, child = coupled(zoo, config, dtype=dtype)
    assert_mean_of_parents(zoo, parents, child, size=64)


@pytest.mark.parametrize("options", VARIANTS, ids=lambda o: ",".join(map(str, o.values())))
def test_every_variant_is_exact(zoo, options):
    parents, child = coupled(zoo, zoo.resnet(**options))
    assert_mean_of_parents(zoo, parents, child)


def test_four_parents_at_once_and_in_two_steps_are_the_same(zoo):
    config = zoo.resnet(depth=50)
    arch = architecture_from_config(config)
    narrow = arch.scaled(0.25).classifier_config(config)
    quarters = [zoo.build(narrow, seed).double().state_dict() for seed in range(4)]
    halves = [grow(quarters[i : i + 2], arch.scaled(0.5).layout()).state_dict for i in (0, 2)]
    in_two_steps = grow(halves, arch.layout()).state_dict
    at_once = grow(quarters, arch.layout()).state_dict
    for name, tensor in at_once.items():
        torch.testing.assert_close(tensor, in_two_steps[name], rtol=1e-10, atol=1e-10)


def test_unequal_widths_are_exact(zoo):
    parents, child = coupled(zoo, zoo.resnet(depth=50), fractions=(0.5, 0.25, 0.25))
    assert_mean_of_parents(zoo, parents, child)


WRONG_ON_PURPOSE = {
    "statistics of the other parent": (
        "backbone.layer2.0.bn1.running_mean",
        lambda tensor: tensor.roll(len(tensor) // 2, 0),
    ),
    "channels of the parents interleaved in one tensor": (
        "backbone.layer2.0.conv1.weight",
        lambda tensor: tensor.reshape(2, -1, *tensor.shape[1:]).transpose(0, 1).flatten(0, 1),
    ),
    "a reader looking at the other parent": (
        "backbone.layer3.0.conv1.weight",
        lambda tensor: tensor.roll(tensor.shape[1] // 2, 1),
    ),
    "a classifier that sums": ("head.fc.weight", lambda tensor: tensor * 2),
    "off-diagonal blocks that are not zero": (
        "backbone.layer1.0.conv2.weight",
        lambda tensor: tensor + 1e-4,
    ),
}


@pytest.mark.parametrize("mistake", WRONG_ON_PURPOSE)
def test_wrong_on_purpose(zoo, mistake):
    name, spoil = WRONG_ON_PURPOSE[mistake]
    parents, child = coupled(zoo, zoo.resnet(depth=50))
    state = child.state_dict()
    child.load_state_dict({**state, name: spoil(state[name])})
    with pytest.raises(AssertionError):
        assert_mean_of_parents(zoo, parents, child)


def test_the_stem_is_three_spaces_when_deep():
    layout = ResNetArchitecture(depth=50, deep_stem=True).layout()
    stems = {name: space.size for name, space in layout.spaces.items() if space.kind == "stem"}
    assert stems == {"stem.0": 32, "stem.1": 32, "stem": 64}


def test_the_stem_is_the_first_stream_where_the_shortcut_is_an_identity():
    basic = ResNetArchitecture(depth=18, expansion=1)
    assert "layer1" not in basic.layout().spaces
    assert "layer1" in ResNetArchitecture(depth=18, expansion=1, stem_channels=32).layout().spaces


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (dict(backbone=dict(norm_cfg=dict(type="GN", num_groups=2))), "norm_cfg"),
        (dict(backbone=dict(norm_cfg=dict(type="BN", affine=False))), "norm_cfg"),
        (dict(backbone=dict(conv_cfg=dict(type="ConvWS"))), "conv_cfg"),
        (dict(backbone=dict(out_indices=(2,))), "out_indices"),
        (dict(backbone=dict(depth=20)), "depth=20"),
        (dict(backbone=dict(strides=(1, 2))), "strides"),
        (dict(neck=dict(type="GeneralizedMeanPooling")), "GeneralizedMeanPooling"),
        (dict(head=dict(type="ArcFaceClsHead")), "ArcFaceClsHead"),
        (dict(head=dict(in_channels=100)), "reads 100 channels and the backbone puts out 128; set"),
    ],
)
def test_options_with_tensors_of_their_own_are_refused(zoo, change, words):
    config = zoo.resnet()
    for part, options in change.items():
        config[part].update(options)
    with pytest.raises(FamilyError, match=words):
        architecture_from_config(config)


def test_a_head_behind_a_feature_map_is_refused(zoo):
    with pytest.raises(FamilyError, match="neck None .* set model.neck=dict"):
        architecture_from_config(dict(zoo.resnet(), neck=None))
