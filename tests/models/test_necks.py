"""The simple feature pyramid."""

import pytest
import torch
import torch.nn.functional as F
from mmdet.registry import MODELS

pytestmark = pytest.mark.numeric


def pyramid(**options):
    config = dict(type="mmrbdc.SimpleFeaturePyramid", in_channels=32, in_stride=16, out_channels=8)
    return MODELS.build(dict(config, **options))


@pytest.mark.parametrize("patch", [4, 8, 16])
def test_sizes(patch):
    """Level i of a 128 px image has stride 4, 8, 16, 32, and the fifth, pooled, 64."""
    neck = pyramid(in_stride=patch)
    side = 128 // patch
    levels = neck((torch.randn(2, 32, side, side),))
    assert [tuple(level.shape) for level in levels] == [
        (2, 8, size, size) for size in (32, 16, 8, 4, 2)
    ]


def test_an_image_that_is_not_square_nor_even():
    levels = pyramid()((torch.randn(1, 32, 5, 7),))
    assert [tuple(level.shape[2:]) for level in levels] == [
        (20, 28),
        (10, 14),
        (5, 7),
        (2, 3),
        (1, 2),
    ]


@torch.no_grad()
def test_levels_are_vitdets():
    """Each level worked out by hand from its own weights, as ViTDet writes it."""
    neck = pyramid().double().eval()
    for parameter in neck.parameters():
        parameter.normal_(0, 0.3)
    feature = torch.randn(1, 32, 4, 4, dtype=torch.float64)

    def norm(x, layer):
        return F.layer_norm(
            x.permute(0, 2, 3, 1), layer.normalized_shape, layer.weight, layer.bias, 1e-6
        ).permute(0, 3, 1, 2)

    def smooth(x, one, three):
        x = norm(F.conv2d(x, one.conv.weight), one.norm)
        return norm(F.conv2d(x, three.conv.weight, padding=1), three.norm)

    def up(x, layer):
        return F.conv_transpose2d(x, layer.weight, layer.bias, stride=2)

    fine, double, same, half = (list(level) for level in neck.levels)
    expected = [
        smooth(up(F.gelu(norm(up(feature, fine[0]), fine[1])), fine[3]), fine[4], fine[5]),
        smooth(up(feature, double[0]), double[1], double[2]),
        smooth(feature, *same),
        smooth(F.max_pool2d(feature, 2), half[1], half[2]),
    ]
    expected.append(expected[-1][:, :, ::2, ::2])
    for level, by_hand in zip(neck((feature,)), expected, strict=True):
        torch.testing.assert_close(level, by_hand, rtol=1e-10, atol=1e-10)


def test_every_parameter_learns():
    neck = pyramid()
    neck.init_weights()
    sum(level.square().sum() for level in neck((torch.randn(1, 32, 8, 8),))).backward()
    assert all(parameter.grad is not None for parameter in neck.parameters())


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(strides=(6,), num_outs=1), "stride 6 cannot be made from in_stride=16"),
        (dict(in_stride=14), "stride 4 cannot be made from in_stride=14"),
        (dict(strides=(4, 8), num_outs=1), "num_outs=1 is less than the 2 strides"),
        (dict(in_channels=30), "in_channels=30 cannot be halved 2 times"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        pyramid(**options)


@pytest.mark.parametrize(
    "widths, message", [((24,), "1 map of 24 c"), ((32, 32), "2 maps of 32, 32 c")]
)
def test_another_width_names_both(widths, message):
    maps = tuple(torch.randn(1, width, 4, 4) for width in widths)
    with pytest.raises(ValueError, match=f"SimpleFeaturePyramid of in_channels=32 got {message}"):
        pyramid()(maps)
