"""Transforms by tables draw and give what MMPretrain's do."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmcv.transforms import RandomFlip
from mmengine.dataset import Compose
from mmengine.registry import DefaultScope
from mmpretrain.datasets import transforms as stock
from mmpretrain.registry import TRANSFORMS

from mmrbdc.datasets.loading.faster import in_less_time
from mmrbdc.datasets.loading.rules import read_by_rules

LEVEL = dict(magnitude_level=9, magnitude_std=0.5)
TRANSFORM = {
    "auto contrast": stock.AutoContrast(),
    "contrast": stock.Contrast(magnitude_range=(0, 0.9), **LEVEL),
    "contrast of one magnitude": stock.Contrast(magnitude=0.7),
    "equalize": stock.Equalize(),
    "flip": RandomFlip(0.7, direction=["horizontal", "vertical", "diagonal"]),
    "solarize": stock.Solarize(magnitude_range=(256, 0), **LEVEL),
    "solarize add": stock.SolarizeAdd(magnitude_range=(0, 110), **LEVEL),
}


@st.composite
def images(draw):
    """Bytes of any range, also of one value; also a view that runs backwards."""
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    least = draw(st.integers(0, 255))
    most = draw(st.integers(least, 255))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    image = rng.integers(least, most, (height, width, 3), np.uint8, endpoint=True)
    return image[:, ::-1] if draw(st.booleans()) else image


def _applied(transform, image, seed):
    np.random.seed(seed)
    results = transform(dict(img=image.copy(order="K")))
    return results, np.random.get_state()[2]


@pytest.mark.parametrize("name", TRANSFORM)
@settings(max_examples=60, deadline=None)
@given(image=images(), seed=st.integers(0, 1000))
def test_the_same_pixels_and_draws(name, image, seed):
    theirs, drawn = _applied(TRANSFORM[name], image, seed)
    ours, ours_drawn = _applied(in_less_time(TRANSFORM[name]), image, seed)
    np.testing.assert_array_equal(theirs.pop("img"), ours["img"])
    assert ours.pop("img").dtype == np.uint8
    assert ours == theirs and ours_drawn == drawn


@pytest.mark.parametrize("name", TRANSFORM)
@pytest.mark.parametrize("kind", [np.float32, "grey"])
def test_another_kind_of_image_is_the_stock_transforms(name, kind):
    image = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
    image = image[..., :1] if kind == "grey" else image.astype(kind)
    for seed in range(8):
        try:
            theirs = _applied(TRANSFORM[name], image, seed)[0]["img"]
        except Exception as error:
            with pytest.raises(type(error)):
                _applied(in_less_time(TRANSFORM[name]), image, seed)
        else:
            ours = _applied(in_less_time(TRANSFORM[name]), image, seed)[0]["img"]
            np.testing.assert_array_equal(theirs.reshape(-1), np.asarray(ours).reshape(-1))


def test_a_flipped_picture_of_one_channel_keeps_it():
    image = np.random.default_rng(0).integers(0, 256, (9, 8, 1), np.uint8)
    theirs = RandomFlip(1.0)(dict(img=image))["img"]
    np.testing.assert_array_equal(in_less_time(RandomFlip(1.0))(dict(img=image))["img"], theirs)


def test_a_table_of_another_picture_is_seen():
    image = np.random.default_rng(0).integers(20, 200, (30, 30, 3), np.uint8)
    other = image // 2
    equalize = in_less_time(stock.Equalize(prob=1.0))
    ours = equalize(dict(img=image))["img"]
    assert not np.array_equal(ours, equalize(dict(img=other))["img"])


def test_a_derived_class_is_left_alone():
    class Own(stock.Equalize):
        pass

    own = Own()
    assert in_less_time(own) is own
    assert type(in_less_time(TRANSFORM["equalize"])).__module__.startswith("mmrbdc")


def test_a_whole_randaugment_gives_the_same_pictures():
    config = dict(
        type="RandAugment",
        policies="timm_increasing",
        num_policies=2,
        magnitude_level=9,
        magnitude_std=0.5,
        hparams=dict(pad_val=[104, 116, 124], interpolation="bicubic"),
    )

    class Data:
        pass

    with DefaultScope.overwrite_default_scope("mmpretrain"):
        steps = [dict(type="RandomFlip", prob=0.5), config]
        theirs = Compose([TRANSFORMS.build(step) for step in steps])
        data = Data()
        data.pipeline = Compose([TRANSFORMS.build(step) for step in steps])
    read_by_rules(data)
    kinds = {type(step).__module__ for step in data.pipeline.transforms[1].transforms}
    assert "mmrbdc.datasets.loading.faster" in kinds
    rng = np.random.default_rng(1)
    for seed in range(200):
        image = rng.integers(0, 256, (24, 20, 3), np.uint8)
        a, drawn = _applied(theirs, image, seed)
        b, ours_drawn = _applied(data.pipeline, image, seed)
        np.testing.assert_array_equal(a["img"], b["img"])
        assert drawn == ours_drawn
