"""What the start of a run asks of its COCO files, loaders and evaluators alike, before anything."""

from pathlib import Path

import pytest
from PIL import Image

from mmrbdc.datasets.check import check_config_data
from mmrbdc.datasets.coco import memory
from mmrbdc.datasets.errors import DataError
from mmrbdc.datasets.reports.inspect_coco import inspect_config
from mmrbdc.engine import launch
from tests.datasets.coco.small_coco import changed, corners, small, write
from tests.datasets.detection.detector_config import LOAD, config, refused


def test_a_sound_config_passes(place):
    assert check_config_data(config(place)) == []


def test_each_file_is_read_once(place, monkeypatch):
    paths = []
    read = memory.read_coco
    monkeypatch.setattr(memory, "read_coco", lambda path: paths.append(path) or read(path))
    check_config_data(config(place))
    assert sorted(Path(path).name for path in paths) == ["train.json", "val.json"]


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (dict(bbox=[1, None, 3, 4]), "annotation 2: 'bbox' is [1, None, 3, 4]"),
        (dict(segmentation=[3, 4, 5, 6, 7, 8]), "annotation 2: 'segmentation' is [3, 4"),
        (dict(id="2"), "annotations[1]: 'id' is '2'"),
        (dict(id=0), "annotation 0: 'id' is 0"),
    ],
)
def test_what_the_judge_refuses_is_refused_in_every_split(place, split, fields, words):
    write(place, changed("annotations", 1, **fields), f"{split}.json")
    message = refused(config(place))
    assert message.startswith(f"{split}_dataloader.dataset: '{place}/{split}.json': ")
    assert words in message


def test_launch_asks_before_anything_is_built(place):
    """Train and test stop at the same place, and read with our data set what is sound."""
    cfg = config(place)
    notes = launch._use_own_datasets(cfg)
    assert "read as mmrbdc.CocoDataset: train_dataloader.dataset, val_d" in notes[0]
    assert cfg.train_dataloader.dataset.type == "mmrbdc.CocoDataset"
    write(place, changed("categories", name="bee"), "val.json")
    cfg = config(place)
    cfg.work_dir = str(place / "work")
    cfg.merge_from_dict(dict(train_cfg=dict(by_epoch=True, max_epochs=1), optim_wrapper=dict()))
    cfg.merge_from_dict(dict(val_cfg=dict(), test_cfg=dict()))
    with pytest.raises(DataError, match="category 3: 'name' is 'bee', the name of category 1"):
        launch.train(cfg)
    assert not (place / "work").exists()


def test_the_check_finds_what_the_start_refuses(place):
    """The images are none here, so its errors are more; with them right it asks the same."""
    reports, _, _ = inspect_config(config(place))
    assert any("cannot be decoded" in error for error in reports[0].errors)


LEFT_OUT = {
    "crowds": dict(iscrowd=1),
    "less than a pixel": dict(bbox=[3, 3, 0.9, 20]),
    "without area": dict(area=0),
    "marked 'ignore'": dict(ignore=True),
}


@pytest.mark.parametrize("kind", LEFT_OUT)
def test_a_training_split_of_which_nothing_trains(place, kind):
    content = small()
    for row in content["annotations"]:
        row.update(LEFT_OUT[kind])
    write(place, content, "train.json")
    message = refused(config(place))
    assert "no object of" in message and "is left to train on: 16 " in message and kind in message
    del content["annotations"][4:]
    content["annotations"].append(small()["annotations"][5])
    write(place, content, "train.json")
    check_config_data(config(place))  # the twin: one is left


def test_the_parts_of_a_training_set_are_counted_together(place):
    crowds = small()
    for row in crowds["annotations"]:
        row["iscrowd"] = 1
    write(place, crowds, "crowds.json")
    cfg = config(place)
    part = cfg.train_dataloader.dataset.to_dict()
    other = part | dict(ann_file="crowds.json")
    cfg.train_dataloader.dataset = dict(type="ConcatDataset", datasets=[part, other])
    check_config_data(cfg)
    cfg.train_dataloader.dataset = dict(type="ConcatDataset", datasets=[other, other])
    assert "no object of" in refused(cfg)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (dict(filter_cfg=dict(min_size=41)), "6 are smaller than filter_cfg.min_size"),
        (dict(indices=[0, 99]), "indices has 99, but 6 images are left"),
        (dict(indices=0), "indices takes none"),
        (dict(indices=[]), "indices takes none"),
    ],
)
def test_a_split_without_images(place, changes, words):
    assert words in refused(config(place, **changes))


def test_masks_that_are_not_trained_are_told(place):
    load = dict(LOAD, poly2mask=False)
    (remark,) = check_config_data(config(place, pipeline=[load]))
    assert "6 objects of" in remark and "with an RLE, which poly2mask=False does not" in remark
    content = small()
    content["annotations"] = [r for r in content["annotations"] if type(r["segmentation"]) is dict]
    write(place, content, "train.json")
    assert "no object of" in refused(config(place, pipeline=[load]))


def test_images_that_are_trained_on_and_scored_are_told_alike(place):
    """At the start by their places, in check-data by their content; neither stops."""
    cfg = config(place)
    for split in ("val", "test"):
        cfg[f"{split}_dataloader"].dataset.data_prefix.img = "train/"
    (line,) = check_config_data(cfg)
    assert line.startswith("train_dataloader.dataset and val_dataloader.dataset share 6 images: '0")
    for number in range(6):
        Image.new("RGB", (60, 40), (number, 0, 0)).save(place / "train" / f"{number}.png")
    reports, errors, remarks = inspect_config(cfg)
    assert errors == remarks == [] and not any(report.errors for report in reports)
    assert [line in report.remarks for report in reports] == [False, True]


def test_images_that_are_too_small_are_told(place):
    content = small()
    content["images"][0].update(width=60, height=100)
    rows = content["annotations"]
    content["annotations"] = [row for row in rows if row["image_id"] != 10]
    one = rows[0] | dict(id=99, image_id=10, segmentation=[corners(rows[0]["bbox"])])
    content["annotations"].append(one)
    write(place, content, "train.json")
    (remark,) = check_config_data(config(place, filter_cfg=dict(min_size=50)))
    assert "5 images of" in remark and "filter_cfg.min_size=50" in remark


@pytest.mark.parametrize(
    ("split", "changes", "words"),
    [
        ("val", dict(indices=4), "2 of 6 images of"),
        ("test", dict(indices=[0, 1, 2, 3, 4]), "1 of 6 images of"),
        ("train", dict(pipeline=[dict(LOAD, poly2mask=False)]), "which poly2mask=False does not"),
        ("train", dict(ann_file="large.json", filter_cfg=dict(min_size=50)), "filter_cfg.min_size"),
    ],
)
def test_the_check_tells_what_the_start_tells(place, split, changes, words):
    """And nothing twice: what a report has is not told again."""
    for number, name in enumerate(("train", "val")):
        for image in range(6):
            shade = (9 * image, 90 * number, 5)
            Image.new("RGB", (60, 40), shade).save(place / name / f"{image}.png")
    content = small()
    content["annotations"].append(content["annotations"][0] | dict(id=99))
    content["images"].append(dict(id=99, file_name="6.png", width=60, height=50))
    content["annotations"].append(content["annotations"][1] | dict(id=100, image_id=99))
    content["annotations"][-1]["segmentation"] = [corners(content["annotations"][-1]["bbox"])]
    write(place, content, "large.json")
    Image.new("RGB", (60, 50), (3, 2, 200)).save(place / "train/6.png")
    cfg = config(place)
    cfg[f"{split}_dataloader"].dataset.update(changes)
    told = check_config_data(cfg)
    reports, errors, remarks = inspect_config(cfg)
    assert errors == [] and not any(report.errors for report in reports)
    assert len([line for line in remarks if words in line]) == 1
    lines = [*remarks, *(line for report in reports for line in report.remarks)]
    assert set(told) <= set(lines)
    assert sum("as another annotation" in line for line in lines) == ("ann_file" in changes)
