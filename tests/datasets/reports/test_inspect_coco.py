"""What the sanity check of a COCO-format set counts, and each defect that it must find."""

import json
import re
from dataclasses import replace
from io import StringIO

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from mmrbdc.datasets.errors import DataError
from mmrbdc.datasets.reports.inspect_coco import CocoSplit, inspect, inspect_split, splits_of_config
from mmrbdc.datasets.reports.show_coco import class_lines, counts_table

CLASSES = ("ant", "bee", "cow")


class Split:
    """Four images of 40 x 30 px; the first has two ants, the second an ant and a bee."""

    def __init__(self, root, name, seed):
        self.folder = root / name
        self.folder.mkdir()
        self.file = root / f"{name}.json"
        rng = np.random.default_rng(seed)
        for number in range(4):
            pixels = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(self.folder / f"{number}.png")
        boxes = [(0, 0), (0, 0), (1, 0), (1, 1)]
        self.content = dict(
            images=[dict(id=i, file_name=f"{i}.png", width=40, height=30) for i in range(4)],
            annotations=[
                dict(
                    id=number,
                    image_id=image,
                    category_id=category + 1,
                    bbox=[5, 5, 10, 8],
                    area=80,
                    segmentation=[[5, 5, 15, 5, 15, 13]],
                    iscrowd=0,
                )
                for number, (image, category) in enumerate(boxes, start=1)
            ],
            categories=[dict(id=i, name=name) for i, name in enumerate(CLASSES, start=1)],
        )

    def written(self, **changes):
        self.file.write_text(json.dumps(self.content))
        known = dict(name="train", ann_file=self.file, images=self.folder, masks=True)
        return CocoSplit(**{**known, "classes": CLASSES, **changes})


@pytest.fixture
def train(tmp_path):
    return Split(tmp_path, "train", seed=0)


@pytest.fixture
def val(tmp_path):
    return Split(tmp_path, "val", seed=1)


def test_counts(train, val):
    """A clean set has no error; images without boxes and classes without boxes are told."""
    reports, errors = inspect([train.written(), val.written(name="val")])
    assert errors == [] and all(report.errors == () for report in reports)
    report = reports[0]
    assert (report.images, report.boxes, report.empty, report.crowds) == (4, 4, 2, 0)
    assert report.class_boxes == {"ant": 3, "bee": 1}
    assert report.class_images == {"ant": 2, "bee": 1}
    assert any("2 images without a box" in remark for remark in report.remarks)
    assert any("no box of 1 class: 'cow'" in remark for remark in report.remarks)


def box(content, **changes):
    content["annotations"][0].update(changes)


DEFECTS = {
    "an image that is listed twice": (
        lambda c: c["images"].append(dict(c["images"][0], file_name="4.png")),
        "image 0: 'id' is 0, which stands there more than once; give each its own id",
    ),
    "an annotation id used twice": (
        lambda c: box(c, id=3),
        "annotation 3: 'id' is 3, which stands there more than once; .*--renumber",
    ),
    "a category id used twice": (
        lambda c: c["categories"].append(dict(id=1, name="dog")),
        "category 1: 'id' is 1, which stands there more than once",
    ),
    "a file that is listed twice": (
        lambda c: c["images"][1].update(file_name="0.png"),
        "image 1: 'file_name' is '0.png', the file name of image 0 already",
    ),
    "a missing file": (
        lambda c: c["images"][2].update(file_name="gone.png"),
        "1 image missing from .*: 'gone.png'",
    ),
    "another size": (
        lambda c: c["images"][2].update(width=30, height=40),
        "1 image whose size is not the width and height in the file: '2.png'",
    ),
    "corners for width and height": (
        lambda c: box(c, bbox=[30, 20, 38, 28]),
        r"annotation 1: 'bbox' is \[30, 20, 38, 28\], outside of the image; bbox is x, y, width, h",
    ),
    "a negative corner": (lambda c: box(c, bbox=[-2, 0, 5, 5]), "outside of the image"),
    "no mask": (
        lambda c: box(c, segmentation=[]),
        r"annotation 1: 'segmentation' is \[\], without a mask, and masks are used",
    ),
    "a mask of another size": (
        lambda c: box(c, segmentation=dict(size=[40, 30], counts="")),
        r"annotation 1: 'segmentation' is \{.*\}, whose mask has another size than the image "
        r"\(it is turned: width, height\)",
    ),
    "an unknown image": (
        lambda c: box(c, image_id=9),
        "annotation 1: 'image_id' is 9, which is not among 'images'",
    ),
    "an unknown category": (
        lambda c: box(c, category_id=9),
        "annotation 1: 'category_id' is 9, which is not among 'categories'",
    ),
    "a renamed category": (
        lambda c: c["categories"][1].update(name="Bee"),
        "has no category 'bee', it has 'ant', 'Bee', 'cow'",
    ),
    "other order": (
        lambda c: c["categories"].reverse(),
        "another order .* pictures would bear wrong names",
    ),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_each_defect_is_found_and_named(train, defect):
    change, message = DEFECTS[defect]
    assert inspect_split(train.written()).errors == ()
    change(train.content)
    try:
        errors = inspect_split(train.written()).errors
    except DataError as error:  # nothing can be counted
        errors = (str(error),)
    assert any(re.search(message, error) for error in errors), errors


def test_a_damaged_image_is_found(train):
    (train.folder / "3.png").write_bytes(b"no picture")
    for fast, what in ((False, "decoded"), (True, "opened")):
        (error,) = inspect_split(train.written(fast=fast)).errors
        assert f"{train.folder}/3.png' cannot be {what}: the file is not a picture" in error


def test_a_photo_that_is_shown_turned_has_the_size_that_is_shown(train):
    """OpenCV turns it by its EXIF mark, so width and height must be those after the turn."""
    exif = Image.Exif()
    exif[274] = 6
    Image.new("RGB", (30, 40)).save(train.folder / "3.jpg", exif=exif)
    train.content["images"][3]["file_name"] = "3.jpg"
    assert inspect_split(train.written()).errors == ()
    train.content["images"][3].update(width=30, height=40)
    assert len(inspect_split(train.written()).errors) == 1


@pytest.mark.parametrize(
    ("changes", "remark"),
    [
        (dict(bbox=[30, 20, 10.9, 10.9]), None),
        (dict(bbox=[5, 5, 0.5, 8]), "less than a pixel wide or high"),
        (dict(bbox=[5, 5, 0, 5]), "of zero area"),  # instances_train2017.json has two such
        (dict(area=0), "of zero area"),
    ],
)
def test_rounding_and_thin_boxes_are_no_errors(train, changes, remark):
    box(train.content, **changes)
    report = inspect_split(train.written())
    assert report.errors == ()
    assert remark is None or any("1: '" in r and remark in r for r in report.remarks)


def test_crowds_are_counted_apart(train):
    box(train.content, iscrowd=1)
    report = inspect_split(train.written())
    assert (report.boxes, report.crowds) == (3, 1)


def test_a_config_may_leave_categories_out(train):
    report = inspect_split(train.written(classes=("ant", "cow")))
    assert report.errors == () and report.boxes == 3
    assert any("1 box of categories that the config leaves out: 'bee'" in r for r in report.remarks)


@pytest.mark.parametrize("renamed", [False, True])
def test_an_image_in_both_splits_is_found_by_its_content(train, val, renamed):
    copied = val.folder / ("copy.png" if renamed else "0.png")
    copied.write_bytes((train.folder / "2.png").read_bytes())
    val.content["images"][0]["file_name"] = copied.name
    reports, errors = inspect([train.written(), val.written(name="val")])
    told = reports[1].remarks[-1]
    assert errors == [] and told.startswith("train and val share 1 image: '2.png'; scores on")
    assert not any("share" in remark for remark in reports[0].remarks)


def test_splits_that_number_their_classes_differently(train, val):
    val.content["categories"].reverse()
    splits = [train.written(classes=None), val.written(name="val", classes=None)]
    _, (error,) = inspect(splits)
    assert "train and val have their classes in another order" in error


def test_a_config_names_its_splits(train):
    """Equal loaders are one split; a config without classes has COCO's."""
    loader = dict(
        dataset=dict(
            type="RepeatDataset",
            dataset=dict(
                type="CocoDataset",
                data_root=str(train.file.parent),
                ann_file="train.json",
                data_prefix=dict(img="train/"),
                metainfo=dict(classes=CLASSES),
                pipeline=[dict(type="LoadAnnotations", with_mask=True)],
            ),
        )
    )
    (split,) = splits_of_config(dict(val_dataloader=loader, test_dataloader=loader))
    assert split == train.written(name="val, test")
    both = splits_of_config(dict(train_dataloader=loader, val_dataloader=loader))
    reports, _ = inspect(both)  # trained and validated on the same images
    assert "and val_dataloader.dataset.dataset share 4 images" in reports[1].remarks[-1]
    del loader["dataset"]["dataset"]["metainfo"]
    (split,) = splits_of_config(dict(val_dataloader=loader))
    assert len(split.classes) == 80
    loader["dataset"] = dict(type="CustomDataset")
    with pytest.raises(DataError, match="CustomDataset; only data in COCO's format"):
        splits_of_config(dict(val_dataloader=loader))
    with pytest.raises(DataError, match="no train_dataloader"):
        splits_of_config({})


def test_one_file_that_is_none_leaves_the_others_counted(train, val, tmp_path):
    """The table shows no zeros for it, and the line for the config is of one that was read."""
    splits = [train.written(), val.written(name="val"), train.written(name="test")]
    val.file.write_text("[1, 2")
    gone = replace(splits[2], ann_file=tmp_path / "gone.json")
    reports, errors = inspect([splits[1], splits[0], gone])
    assert errors == [] and [report.counted for report in reports] == [False, True, False]
    assert "is not JSON" in reports[0].errors[0] and "is missing" in reports[2].errors[0]
    text = StringIO()
    Console(file=text, width=100).print(counts_table(reports))
    rows = [line.split() for line in text.getvalue().splitlines() if line.strip()]
    assert ["ant", "-", "-", "2", "3", "-", "-"] in rows
    assert ["all", "-", "-", "4", "4", "-", "-"] in rows
    assert "'ant'" in class_lines(reports)[0]
    assert class_lines([reports[0]]) == ["(no file could be read)"]


@pytest.mark.parametrize("images", ["gone", "train.json"])
def test_a_folder_that_is_none_is_named_once(train, tmp_path, images):
    """Not image by image."""
    (report,), _ = inspect([train.written(images=tmp_path / images)])
    (error,) = report.errors
    assert f"there is no folder '{tmp_path}/{images}'" in error


@pytest.mark.parametrize("second", ["./0.png", "x/../0.png", ".//0.png"])
def test_two_spellings_of_one_path_are_one_image(train, second):
    assert inspect_split(train.written()).errors == ()
    train.content["images"][1]["file_name"] = second
    with pytest.raises(DataError, match="image 1: 'file_name' is .* the file name of image 0"):
        inspect_split(train.written())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[]", r"it is \[\], not an object"),
        ('{"images": [1]}', r"images\[0\]: 1, not an object"),
        ('{"images": []}', "there are no images"),
        (
            '{"images": [{"id": 1}], "categories": []}',
            "'annotations' should be a list, got missing",
        ),
        (
            '{"images": [{"id": 1}], "annotations": [{}], "categories": [{"id": 1, "name": "a"}]}',
            "image 1: 'file_name' is missing",
        ),
    ],
)
def test_a_file_of_another_format_is_refused(train, text, message):
    split = train.written()
    train.file.write_text(text)
    with pytest.raises(DataError, match=message):
        inspect_split(split)
    train.file.unlink()
    with pytest.raises(DataError, match="train.json is missing"):
        inspect_split(split)
