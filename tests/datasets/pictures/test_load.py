"""An image that cannot be read is named."""

import copy
import json
import warnings

import cv2
import numpy as np
import pytest
from mmcv.transforms import BaseTransform
from mmcv.transforms import LoadImageFromFile as Stock
from mmdet.registry import DATASETS as DETECTION_DATASETS
from mmdet.utils import register_all_modules
from mmengine.dataset import Compose
from mmpretrain.registry import DATASETS
from PIL import Image

from mmrbdc.datasets import DataError, LoadImageFromFile
from mmrbdc.datasets.loading.rules import read_by_rules
from mmrbdc.shipped import command

register_all_modules(init_default_scope=False)
DAMAGED = {"empty": b"", "text": b"not an image", "half": None}


@pytest.fixture(params=DAMAGED)
def folder(request, tmp_path):
    """Four images of one class, the third of which is damaged."""
    (tmp_path / "a").mkdir()
    for number in range(4):
        image = np.full((8, 8, 3), number * 10, np.uint8)
        cv2.imwrite(str(tmp_path / "a" / f"{number}.png"), image)
    third = tmp_path / "a" / "2.png"
    content = DAMAGED[request.param]
    third.write_bytes(third.read_bytes()[:40] if content is None else content)
    return tmp_path


def dataset(folder, **options):
    return DATASETS.build(
        dict(
            type="mmpretrain.CustomDataset",
            data_root=str(folder),
            pipeline=[
                dict(type="mmrbdc.LoadImageFromFile", **options),
                dict(type="mmpretrain.PackInputs"),
            ],
        )
    )


def test_a_damaged_file_is_named(folder):
    with pytest.raises(DataError, match=rf"cannot read the image {folder}/a/2.png.*ignore_empty"):
        dataset(folder)[2]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match="gone.png"):
        LoadImageFromFile()(dict(img_path=str(tmp_path / "gone.png")))


def test_another_image_takes_its_place_where_that_is_asked_for(folder):
    with pytest.warns(UserWarning, match=r"2.png.*another image is drawn"):
        sample = dataset(folder, ignore_empty=True)[2]
    assert sample["inputs"].unique().item() in (0, 10, 30)


def coco_set(root, size, stated, turn):
    """One picture of a size whose annotations state another, or the same."""
    picture = Image.new("RGB", size, (90, 60, 30))
    marks = Image.Exif()
    marks[274] = turn
    picture.save(root / "one.jpg", exif=marks)
    width, height = stated
    box = dict(bbox=[1, 1, 6, 4], area=24, iscrowd=0)
    content = dict(
        images=[dict(id=1, file_name="one.jpg", width=width, height=height)],
        annotations=[dict(id=1, image_id=1, category_id=1, **box)],
        categories=[dict(id=1, name="ant")],
    )
    (root / "ann.json").write_text(json.dumps(content))
    dataset = dict(
        type="mmrbdc.CocoDataset",
        data_root=str(root),
        ann_file="ann.json",
        data_prefix=dict(img=""),
        metainfo=dict(classes=("ant",)),
        pipeline=[
            dict(type="mmrbdc.LoadImageFromFile"),
            dict(type="mmdet.LoadAnnotations", with_bbox=True),
            dict(type="mmdet.Resize", scale=(64, 64), keep_ratio=True),
            dict(type="mmdet.PackDetInputs"),
        ],
    )
    return DETECTION_DATASETS.build(dataset)


@pytest.mark.parametrize("test_mode", [True, False])
@pytest.mark.parametrize(
    ("size", "stated", "turn"),
    [
        ((30, 20), (20, 30), 1),
        ((15, 10), (30, 20), 1),
        ((30, 20), (30, 21), 1),
        ((9, 7), (9, 7), 6),
    ],
)
def test_a_picture_of_another_size_than_its_annotations_say(
    tmp_path, size, stated, turn, test_mode
):
    """Turned, scaled, one line more, or turned when it is read: boxes would lie elsewhere."""
    dataset = coco_set(tmp_path, size, stated, turn)
    dataset.test_mode = test_mode
    width, height = size if turn == 1 else size[::-1]
    with pytest.raises(DataError) as raised:
        dataset[0]
    assert str(raised.value).startswith(
        f"the picture {tmp_path}/one.jpg is {width} x {height} px, but the annotations say width "
        f"{stated[0]} and height {stated[1]}"
    )


@pytest.mark.parametrize(("size", "stated", "turn"), [((30, 20), (30, 20), 1), ((9, 7), (7, 9), 6)])
def test_a_picture_of_the_size_that_its_annotations_say(tmp_path, size, stated, turn):
    sample = coco_set(tmp_path, size, stated, turn)[0]
    assert sample["data_samples"].ori_shape == stated[::-1]


class OfOnesOwn(Stock):
    """Inherits ``ignore_empty``; MMCV's raises over text in any case."""

    def transform(self, results):
        try:
            return super().transform(results)
        except (OSError, AssertionError):
            if self.ignore_empty:
                return None
            raise


class Skips(BaseTransform):
    """A pipeline's own way to draw another image."""

    def transform(self, results):
        return None if results["img"].max() == 20 else results


@pytest.mark.parametrize("steps", ["ours", "stock", "own", "filter"])
def test_what_is_scored_is_never_drawn_anew(steps, folder):
    first = {
        "ours": LoadImageFromFile(ignore_empty=True),
        "stock": Stock(ignore_empty=True),
        "own": OfOnesOwn(ignore_empty=True),
    }
    load = [first.get(steps, LoadImageFromFile())]
    if steps == "filter":
        cv2.imwrite(str(folder / "a" / "2.png"), np.full((8, 8, 3), 20, np.uint8))
        load.append(Skips())

    def built(training):
        data = dataset(folder)
        data.pipeline = Compose(copy.deepcopy(load))
        read_by_rules(data, training=training)
        return data

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert built(True)[2]["img"].max() != 20, "the twin that trains does draw another"
    with pytest.raises(DataError, match=r"2\.png") as error:
        built(False)[2]
    told = str(error.value)
    assert ("ignore_empty=True holds in training only" in told) == (steps in ("ours", "stock"))
    assert "set ignore_empty" not in told


def test_no_advice_to_ignore_what_is_scored(folder):
    data = dataset(folder)
    read_by_rules(data, training=False)
    with pytest.raises(DataError) as error:
        data[2]
    assert "mend or remove the file" in str(error.value) and "ignore_empty" not in str(error.value)


def test_a_good_file_is_read_as_mmcv_reads_it(folder):
    path = dict(img_path=str(folder / "a" / "1.png"))
    ours, theirs = LoadImageFromFile()(dict(path)), Stock()(dict(path))
    assert np.array_equal(ours.pop("img"), theirs.pop("img")) and ours == theirs


@pytest.mark.parametrize("img_id", [0, 7])
def test_of_annotations_the_entry_has_to_go(tmp_path, img_id):
    """Without its file an image in COCO's annotations is still looked for."""
    sample = dict(img_path=str(tmp_path / "gone.png"), img_id=img_id)
    with pytest.raises(DataError, match=rf"its entry of 'images' \(id {img_id}\) and the annot"):
        LoadImageFromFile()(sample)


def test_twin_a_file_of_a_folder_can_be_removed(folder):
    with pytest.raises(DataError, match="mend or remove the file") as found:
        dataset(folder)[2]
    assert str(found.value).endswith(
        f"`{command('check-data', 'CONFIG')}` finds all such pictures before a run"
    )
    assert "'images'" not in str(found.value)
