"""What a test reads, told by its loader."""

import shutil

import pytest

from mmrbdc.datasets.splits import split_of_test


def coco(root, file, **more):
    return dict(dataset=dict(type="CocoDataset", data_root=str(root), ann_file=file, **more))


def folder(root, prefix, **more):
    return dict(dataset=dict(type="CustomDataset", data_root=str(root), data_prefix=prefix, **more))


@pytest.fixture
def files(tmp_path):
    (tmp_path / "a").mkdir()
    for name, text in (("train", "x"), ("val", "yy"), ("test", "zz")):
        (tmp_path / "a" / f"{name}.json").write_text(text)
    return tmp_path


def test_annotation_files_by_place_and_by_content(files):
    """However the place is written; a file of equal size is another one (the twin)."""
    train, val = coco(files, "a/train.json"), coco(files, "a/val.json")
    assert split_of_test(coco(files, "a/test.json"), val, train) == "test"
    assert split_of_test(coco("", str(files / "a" / ".." / "a" / "val.json")), val) == "validation"
    assert split_of_test(coco(files / "a", "train.json"), val, train) == "training"
    shutil.copy(files / "a" / "val.json", files / "copy.json")
    assert split_of_test(coco(files, "copy.json", test_mode=True), val, train) == "validation"
    assert split_of_test(coco("nowhere", "a/val.json"), val, train) == "test"
    assert split_of_test(coco("nowhere", "v.json"), coco("nowhere", "v.json")) == "validation"


def test_folders_and_sets_that_choose_by_an_argument(files):
    val = folder(files, "val")
    assert split_of_test(folder(files, "test"), val) == "test"
    assert split_of_test(folder(files / "val", ""), val) == "validation"
    assert split_of_test(folder(files, dict(img_path="val")), val) == "validation"
    cifar = dict(type="CIFAR10", data_root="c", split="test", pipeline=[1])
    other = {**cifar, "pipeline": [2], "test_mode": True}
    assert split_of_test(dict(dataset=other), dict(dataset=cifar)) == "validation"
    assert split_of_test(dict(dataset={**cifar, "split": "train"}), dict(dataset=cifar)) == "test"


def test_all_parts_must_be_known(files):
    one, two = coco(files, "a/val.json")["dataset"], coco(files, "a/test.json")["dataset"]
    both = dict(dataset=dict(type="ConcatDataset", datasets=[one, two]))
    wrapped = dict(dataset=dict(type="RepeatDataset", times=2, dataset=one))
    assert split_of_test(both, dict(dataset=one)) == "test"
    assert split_of_test(dict(dataset=one), both) == "validation"
    assert split_of_test(wrapped, dict(dataset=one)) == "validation"
    assert split_of_test(None, None) == split_of_test(dict(dataset=one), None) == "test"
