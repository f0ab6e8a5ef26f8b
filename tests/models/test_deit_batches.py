"""What an image gives does not depend on the other images of its batch."""

import pytest
import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample

pytestmark = pytest.mark.numeric

ARCH = dict(embed_dims=16, num_layers=4, num_heads=2, feedforward_channels=32)
MODES = {
    "full attention": {},
    "windows": dict(window_size=3, global_blocks=2, with_cls_token=False),
    "relative positions": dict(
        window_size=3, global_blocks=2, with_cls_token=False, rel_pos=True, rel_pos_size=64
    ),
}


def deit(**options):
    config = dict(type="mmrbdc.DeiT", arch=ARCH, img_size=16, patch_size=4, **options)
    backbone = MODELS.build(config).double().eval()
    for parameter in backbone.parameters():
        parameter.data.normal_(0, 0.3)
    return backbone


def difference(one, other):
    return ((one - other).abs().max() / other.abs().max()).item()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [(24, 24), (21, 30)])
@torch.no_grad()
def test_two_images_give_what_each_gives_alone(mode, size):
    """Sizes: of whole patches and windows, and of neither."""
    backbone = deit(**MODES[mode])
    images = torch.randn(2, 3, *size, dtype=torch.float64)
    (together,) = backbone(images)
    for i in range(2):
        assert difference(together[i : i + 1], backbone(images[i : i + 1])[0]) < 1e-12


def preprocessed(sizes, divisor):
    """Images of some sizes as MMDetection batches them, their content fixed by the size."""
    preprocessor = MODELS.build(
        dict(
            type="DetDataPreprocessor",
            mean=[100.0] * 3,
            std=[50.0] * 3,
            pad_size_divisor=divisor,
        )
    )
    inputs = []
    for size in sizes:
        generator = torch.Generator().manual_seed(size[0] * 100 + size[1])
        inputs.append(torch.randint(0, 256, (3, *size), generator=generator, dtype=torch.uint8))
    samples = [DetDataSample(metainfo=dict(img_shape=size)) for size in sizes]
    data = preprocessor(dict(inputs=inputs, data_samples=samples))
    assert [sample.img_shape for sample in data["data_samples"]] == sizes
    return data["inputs"].double()


def worst_difference(backbone, sizes, divisor):
    """Of the features of the real patches, in the batch and alone."""
    (together,) = backbone(preprocessed(sizes, divisor))
    worst = 0.0
    for i, (height, width) in enumerate(sizes):
        (alone,) = backbone(preprocessed([(height, width)], divisor))
        real = (..., slice(-(-height // 4)), slice(-(-width // 4)))
        worst = max(worst, difference(together[i : i + 1][real], alone[real]))
    return worst


@pytest.mark.parametrize("mode", MODES)
@torch.no_grad()
def test_a_fixed_canvas_frees_images_of_different_sizes_from_each_other(mode):
    """`pad_size_divisor` as large as any image: every image gets the same canvas, in any batch."""
    backbone = deit(**MODES[mode])
    assert preprocessed([(20, 28), (30, 17)], 32).shape == (2, 3, 32, 32)
    assert worst_difference(backbone, [(20, 28), (30, 17)], 32) < 1e-12


@pytest.mark.parametrize("mode", MODES)
@torch.no_grad()
def test_a_canvas_that_follows_the_batch_does_not(mode):
    """The twin: padded to the largest of the batch, the smaller image changes."""
    assert worst_difference(deit(**MODES[mode]), [(20, 28), (30, 17)], 4) > 1e-3


@torch.no_grad()
def test_the_pad_of_a_patch_is_zeros_and_nothing_else_is_padded():
    backbone = deit(**MODES["windows"])
    images = torch.randn(1, 3, 21, 30, dtype=torch.float64)
    (feature,) = backbone(images)
    assert feature.shape == (1, 16, 6, 8)
    torch.testing.assert_close(feature, backbone(F.pad(images, (0, 2, 0, 3)))[0])


@torch.no_grad()
def test_a_window_sees_nothing_beyond_it():
    """Without global blocks a window is an image of its own, those at the edges included."""
    backbone = deit(window_size=3, global_blocks=0, with_cls_token=False)
    images = torch.randn(1, 3, 20, 28, dtype=torch.float64)
    (before,) = backbone(images)
    images[..., 12:, 24:] += 1
    (after,) = backbone(images)
    changed = (before != after).any(dim=1)[0]
    expected = torch.zeros_like(changed)
    expected[3:, 6:] = True
    assert torch.equal(changed, expected)
