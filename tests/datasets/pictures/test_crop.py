"""Crops that are resized by torch, or decoded smaller, are MMPretrain's but for rounding."""

import io

import numpy as np
import pytest
from mmengine.dataset import Compose
from mmengine.registry import DefaultScope
from mmpretrain.datasets import RandomResizedCrop as StockRandomResizedCrop
from PIL import Image

from mmrbdc.datasets import DataError, LoadImageFromFile, RandomResizedCrop
from mmrbdc.datasets.loading.rules import read_by_rules
from mmrbdc.registry import TRANSFORMS


class Data:
    """What has a pipeline."""

    def __init__(self, *transforms) -> None:
        self.pipeline = Compose([])
        self.pipeline.transforms = list(transforms)
        read_by_rules(self)


def _photograph(width=500, height=375, seed=0):
    """Smooth, as photographs are."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8))
    return small.resize((width, height), Image.Resampling.BICUBIC)


def _file(path, image, **options):
    image.save(path, **options)
    return str(path)


def _cropped(steps, path, seed):
    np.random.seed(seed)
    return steps(dict(img_path=path))


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("grey", [False, True])
def test_torch_resizes_as_pillow_does(interpolation, grey):
    ours = RandomResizedCrop(scale=64, backend="torch", interpolation=interpolation)
    theirs = StockRandomResizedCrop(scale=64, backend="pillow", interpolation=interpolation)
    rng = np.random.default_rng(0)
    for seed in range(40):
        image = rng.integers(0, 256, (*rng.integers(20, 300, 2), 3), np.uint8)
        image = image[..., 0] if grey else image
        np.random.seed(seed)
        expected = theirs(dict(img=image))
        drawn = np.random.rand()
        np.random.seed(seed)
        found = ours(dict(img=image))
        assert np.random.rand() == drawn and found["img"].flags.c_contiguous
        assert found["img_shape"] == expected["img_shape"]
        assert np.abs(found["img"].astype(int) - expected["img"]).max() <= 2
        # The twin: a crop of three pixels further is far off.
        np.random.seed(seed)
        other = ours(dict(img=np.roll(image, 3, axis=0)))["img"]
        assert np.abs(other.astype(int) - expected["img"]).max() > 2


@pytest.mark.parametrize("backend", ["pillow", "cv2"])
def test_other_backends_are_mmpretrains(backend):
    image = np.random.default_rng(0).integers(0, 256, (90, 70, 3), np.uint8)
    for seed in range(10):
        np.random.seed(seed)
        expected = StockRandomResizedCrop(scale=(32, 48), backend=backend)(dict(img=image))
        np.random.seed(seed)
        found = RandomResizedCrop(scale=(32, 48), backend=backend)(dict(img=image))
        np.testing.assert_array_equal(found["img"], expected["img"])


@pytest.mark.parametrize("backend", ["pillow", "torch"])
def test_a_picture_is_decoded_smaller_where_its_part_is_large_enough(tmp_path, backend):
    path = _file(tmp_path / "a.jpg", _photograph(), quality=95)
    way = dict(scale=64, backend=backend, interpolation="bicubic")
    scaled = Data(LoadImageFromFile(), RandomResizedCrop(dct_scaling=True, **way)).pipeline
    whole = Data(LoadImageFromFile(), RandomResizedCrop(**way)).pipeline
    divisors = set()
    loader = scaled.transforms[0]
    for seed in range(60):
        expected = _cropped(whole, path, seed)
        drawn = np.random.rand()
        found = _cropped(scaled, path, seed)
        assert np.random.rand() == drawn
        np.random.seed(seed)
        divisors.add(loader.crop.draw(375, 500).divisor)
        assert found["ori_shape"] == expected["ori_shape"] == (375, 500)
        assert found["img"].shape == (64, 64, 3) and "crop_box" not in found
        # Edges move by half a pixel of the smaller picture at most.
        apart = np.abs(found["img"].astype(int) - expected["img"]).mean()
        other = np.abs(found["img"][:, ::-1].astype(int) - expected["img"]).mean()
        assert apart < 4 and other > 8
    assert divisors == {1, 2, 4}


def test_the_parts_are_drawn_as_stock_draws_them():
    """Over many draws: the same box, in the smaller picture within half a pixel of it."""
    ours = RandomResizedCrop(scale=32, dct_scaling=True)
    theirs = StockRandomResizedCrop(scale=32)
    for seed in range(500):
        height, width = np.random.default_rng(seed).integers(20, 700, 2)
        np.random.seed(seed)
        expected = theirs.rand_crop_params(np.empty((height, width)))
        np.random.seed(seed)
        box, divisor, whole = ours.draw(int(height), int(width))
        assert whole == (height, width)
        top, left, high, wide = box
        edges = np.array([top, left, top + high, left + wide]) * divisor
        given = np.array([*expected[:2], expected[0] + expected[2], expected[1] + expected[3]])
        assert np.abs(edges - given).max() <= divisor / 2
        smaller = -(-height // divisor), -(-width // divisor)
        assert top + high <= smaller[0] and left + wide <= smaller[1]
        assert divisor == 1 or min(high, wide) >= 31


def _turned():
    exif = Image.Exif()
    exif[274] = 6
    return dict(exif=exif)


@pytest.mark.parametrize(
    ("name", "options", "loader"),
    [
        ("a.png", {}, {}),
        ("a.jpg", _turned(), {}),
        ("a.jpg", dict(exif=b"Exif\0\0damaged"), {}),
        ("a.jpg", {}, dict(color_type="unchanged")),
        ("a.jpg", {}, dict(imdecode_backend="pillow")),
    ],
)
def test_what_cannot_be_decoded_smaller_is_decoded_whole(tmp_path, name, options, loader):
    path = _file(tmp_path / name, _photograph(), **options)
    way = dict(scale=32, backend="pillow")
    scaled = Data(LoadImageFromFile(**loader), RandomResizedCrop(dct_scaling=True, **way)).pipeline
    whole = Data(LoadImageFromFile(**loader), RandomResizedCrop(**way)).pipeline
    for seed in range(10):
        expected = _cropped(whole, path, seed)
        found = _cropped(scaled, path, seed)
        np.testing.assert_array_equal(found["img"], expected["img"])
        assert found["ori_shape"] == expected["ori_shape"]


def test_wrong_files_are_named_when_decoded_smaller(tmp_path):
    scaled = Data(LoadImageFromFile(), RandomResizedCrop(scale=16, dct_scaling=True)).pipeline
    buffer = io.BytesIO()
    _photograph().save(buffer, "JPEG")
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(buffer.getvalue()[:300])
    with pytest.raises(DataError, match=r"cannot read the image .*cut\.jpg"):
        scaled(dict(img_path=str(cut)))
    path = _file(tmp_path / "a.jpg", _photograph())
    with pytest.raises(DataError, match="the annotations say width 499 and height 375"):
        scaled(dict(img_path=path, width=499, height=375))
    assert scaled(dict(img_path=path, width=500, height=375))["img"].shape == (16, 16, 3)


def test_an_image_that_was_decoded_before_is_refused(tmp_path):
    path = _file(tmp_path / "a.jpg", _photograph())
    crop = RandomResizedCrop(scale=16, dct_scaling=True)
    apart = Compose([])
    apart.transforms = [LoadImageFromFile(), crop]
    with pytest.raises(ValueError, match="put LoadImageFromFile right in front"):
        apart(dict(img_path=path))


def test_what_torch_cannot_resize_is_refused():
    with pytest.raises(ValueError, match="'bilinear' or 'bicubic'.*backend='pillow'"):
        RandomResizedCrop(scale=16, backend="torch", interpolation="lanczos")
    with pytest.raises(ValueError, match="leave to_float32 out"):
        RandomResizedCrop(scale=16, backend="torch")(dict(img=np.ones((40, 40, 3), np.float32)))


def test_a_config_builds_it():
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        config = dict(type="mmrbdc.RandomResizedCrop", scale=224, backend="torch")
        assert "backend=torch, dct_scaling=False" in repr(TRANSFORMS.build(config))
