"""Missing, empty and unfitting data, each refused with the place and the next step."""

import json
from copy import deepcopy
from shutil import copytree, rmtree

import pytest
from mmengine.fileio import BaseStorageBackend, register_backend

from mmrbdc.datasets.check import check_config_data, check_data
from mmrbdc.datasets.errors import DataError
from mmrbdc.datasets.made.digits import CLASSES


def folder_loader(root, split="train", **others):
    """A loader of an ImageFolder."""
    data = {"type": "CustomDataset", "data_root": str(root), "data_prefix": split}
    return {"dataset": {**data, **others}}


def coco_loader(root, split="train", **others):
    """A loader of digit scenes."""
    data = {
        "type": "CocoDataset",
        "data_root": str(root),
        "ann_file": f"annotations/instances_{split}.json",
        "data_prefix": {"img": f"{split}/"},
        "metainfo": {"classes": CLASSES},
    }
    return {"dataset": {**data, **others}}


def classifier_config(root, num_classes=10):
    """What ``check_config_data`` looks at in the config of a classifier."""
    return {
        "model": {"head": {"num_classes": num_classes}},
        "data_preprocessor": {"num_classes": num_classes},
        "train_dataloader": folder_loader(root, "train"),
        "val_dataloader": folder_loader(root, "val"),
        "test_dataloader": folder_loader(root, "test"),
        "val_evaluator": {"type": "Accuracy"},
    }


def detector_config(root, num_classes=10):
    """What ``check_config_data`` looks at in the config of a detector."""
    head = {"num_classes": num_classes}
    evaluator = {"type": "CocoMetric", "ann_file": f"{root}/annotations/instances_val.json"}
    return {
        "model": {"roi_head": {"bbox_head": [dict(head)], "mask_head": dict(head)}},
        "train_dataloader": coco_loader(root, "train"),
        "val_dataloader": coco_loader(root, "val"),
        "val_evaluator": evaluator,
    }


@pytest.fixture
def images(tmp_path):
    """An ImageFolder of two classes, nested and with other files in between."""
    for name in ("train/ant/a.JPEG", "train/bee/deep/b.png", "train/notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def test_good_data_passes(digits, scenes):
    check_config_data(classifier_config(digits))
    check_config_data(detector_config(scenes))


def test_classes_are_those_of_the_files(images, scenes):
    assert check_data(folder_loader(images)) == ("ant", "bee")
    assert check_data(coco_loader(scenes)) == CLASSES


@pytest.mark.parametrize("wrapper", ["mmrbdc.ReplayableDataset", "RepeatDataset"])
def test_wrapped_data_sets_are_found(images, wrapper):
    good = folder_loader(images)
    assert check_data({"dataset": {"type": wrapper, **good}}) == ("ant", "bee")
    bad = folder_loader(images, "gone")["dataset"]
    joined = {"type": "ConcatDataset", "datasets": [good["dataset"], bad]}
    with pytest.raises(DataError, match=r"train_dataloader\.dataset\.datasets\.1: there is no"):
        check_data({"dataset": joined})


@register_backend("store", prefixes="store")
class Store(BaseStorageBackend):
    """Storage of a user's own."""

    def get(self, filepath):
        raise AssertionError("nothing is read")

    get_text = get

    def join_path(self, *parts):
        return "/".join(parts)


def test_unknown_and_remote_data_sets_are_not_judged():
    assert check_data({"dataset": {"type": "CIFAR10", "data_root": "nowhere"}}) is None
    for loader in (folder_loader, coco_loader):
        assert check_data(loader("store://bucket/imagenet")) is None


@pytest.mark.parametrize("loader", [folder_loader, coco_loader])
@pytest.mark.parametrize(
    ("root", "words"),
    [
        ("file:///data", "is not a storage that MMEngine knows: file://"),
        ("gs://bucket", "is not a storage that MMEngine knows: gs://"),
        ("petrel://bucket", "is on storage that cannot be opened here"),
    ],
)
def test_storage_that_no_backend_opens_is_refused(loader, root, words):
    """A run would end in the backend's traceback."""
    with pytest.raises(DataError, match=f"^train_dataloader.dataset: '{root}.*{words}") as error:
        check_data(loader(root))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("prefix", ["train/", ["train/"]])
def test_a_prefix_that_is_no_dict_is_refused_for_coco(scenes, prefix):
    with pytest.raises(DataError, match=r"dataset.data_prefix is .*data_prefix=dict\(img="):
        check_data(coco_loader(scenes, data_prefix=prefix))


def test_missing_demo_data_says_how_to_make_it(tmp_path):
    with pytest.raises(DataError, match=r"data/digits/train'.*python tools/make_demo_data\.py"):
        check_data(folder_loader(tmp_path / "data" / "digits"))
    with pytest.raises(DataError, match=r"instances_train\.json'.*tools/make_demo_data\.py"):
        check_data(coco_loader(tmp_path / "data" / "digit_scenes"))


def test_missing_folder_names_the_option(tmp_path):
    option = r"--cfg-options val_dataloader\.dataset\.data_root=PATH"
    with pytest.raises(DataError, match=rf"there is no folder '.*imagenet/val'; .*{option}"):
        check_data(folder_loader(tmp_path / "imagenet", "val"), name="val_dataloader")


def test_empty_folders_are_refused(images):
    (images / "empty").mkdir()
    with pytest.raises(DataError, match=r"'.*empty' has no class folders"):
        check_data(folder_loader(images, "empty"))
    (images / "train" / "cow").mkdir()
    with pytest.raises(DataError, match=r"1 of 3 class folders .* no image in them \('cow'\)"):
        check_data(folder_loader(images))


@pytest.mark.parametrize("num_classes", [9, 11, 1000])
def test_class_count_of_data_and_head_must_agree(digits, scenes, num_classes):
    with pytest.raises(
        DataError, match=f"has 10 classes.*says model.head.num_classes={num_classes}"
    ):
        check_config_data(classifier_config(digits, num_classes))
    with pytest.raises(DataError, match=r"set --cfg-options model\.roi_head\.bbox_head\.0\.num_c"):
        check_config_data(detector_config(scenes, num_classes))


def test_class_count_of_the_preprocessor_must_agree(digits):
    config = classifier_config(digits)
    config["data_preprocessor"]["num_classes"] = 1000
    with pytest.raises(DataError, match=r"says data_preprocessor\.num_classes=1000; .*=10$"):
        check_config_data(config)


def test_splits_must_have_the_same_classes(images):
    for name in ("val/ant/a.png", "val/cow/c.png"):
        (images / name).parent.mkdir(parents=True)
        (images / name).touch()
    config = classifier_config(images, 2)
    with pytest.raises(DataError, match=r"only in train_dataloader.dataset: 'bee', .*'cow'"):
        check_config_data(config)


def test_image_lists_are_checked(images):
    config = {"model.head.num_classes": 2}
    listed = folder_loader(images, ann_file="list.txt")
    with pytest.raises(DataError, match=r"no file '.*list\.txt'.*dataset\.ann_file=PATH"):
        check_data(listed)
    lines = images / "list.txt"
    for text, message in [
        ("", "lists no image"),
        ("ant/a.JPEG 0\nbee/b.png\n", "line 2 of .* is not 'IMAGE NUMBER': 'bee/b.png'"),
        ("ant/a.JPEG 0\nbee/deep/b.png 2\n", "class number 2, but the config says .*num_classes=2"),
    ]:
        lines.write_text(text)
        with pytest.raises(DataError, match=message):
            check_data(listed, num_classes=config)
    lines.write_text("ant/a.JPEG 0\nbee/deep/b.png 1\n")
    assert check_data(listed, num_classes=config) is None


def test_mmpretrain_imagenet_type_is_understood(images):
    loader = {"dataset": {"type": "mmpretrain.ImageNet", "data_root": str(images)}}
    loader["dataset"]["split"] = "train"
    with pytest.raises(DataError, match=r"2 class folders .* stands for 1000 .*'CustomDataset'"):
        check_data(loader)
    named = {"dataset": dict(loader["dataset"], metainfo={"classes": ("Ant", "Bee")})}
    assert check_data(named) == ("ant", "bee")
    (images / "meta").mkdir()
    (images / "meta" / "train.txt").write_text("")
    with pytest.raises(DataError, match=r"meta/train\.txt' lists no image"):
        check_data(loader)


def test_coco_files_without_content_are_refused(scenes, tmp_path):
    whole = json.loads((scenes / "annotations" / "instances_train.json").read_text())
    (tmp_path / "annotations").mkdir()
    path = tmp_path / "annotations" / "instances_train.json"
    loader = coco_loader(tmp_path)
    copytree(scenes / "train", tmp_path / "train")
    path.touch()
    with pytest.raises(DataError, match=r"instances_train\.json' is empty"):
        check_data(loader)
    for section in ("images", "annotations", "categories"):
        path.write_text(json.dumps({**whole, section: []}))
        with pytest.raises(
            DataError, match=f"there are no {section}: '{section}' is an empty list"
        ):
            check_data(loader)
    path.write_text(json.dumps(whole))
    rmtree(tmp_path / "train")
    with pytest.raises(DataError, match=r"there is no folder '.*/train'"):
        check_data(loader)
    (tmp_path / "train").mkdir()
    with pytest.raises(DataError, match=r"folder '.*/train' is empty"):
        check_data(loader)


def test_coco_classes_must_be_in_the_file(scenes):
    loader = coco_loader(scenes, metainfo={"classes": ("0", "1", "ten")})
    with pytest.raises(DataError, match=r"has no category 'ten', it has '0', .* 10 in all"):
        check_data(loader)
    stock = coco_loader(scenes)
    del stock["dataset"]["metainfo"]
    with pytest.raises(DataError, match="has no category 'person'"):
        check_data(stock)


def packed(*meta_keys):
    return {"type": "PackDetInputs", "meta_keys": ("img_id", "img_shape", "ori_shape", *meta_keys)}


@pytest.mark.parametrize("split", ["val", "test"])
@pytest.mark.parametrize("ann_file", [{}, {"ann_file": None}, {"ann_file": ""}])
@pytest.mark.parametrize("scope", ["", "mmdet.", "mmrbdc."])
def test_an_evaluator_of_boxes_needs_annotations(scenes, split, ann_file, scope):
    """Of a file, or of the samples, where the pipeline packs them (the twin)."""
    config = detector_config(scenes)
    config["test_dataloader"] = deepcopy(config["val_dataloader"])
    config[f"{split}_evaluator"] = [
        {"type": "DumpResults"},
        {"type": f"{scope}CocoMetric", "metric": "bbox", **ann_file},
    ]
    option = rf"{split}_evaluator.1.ann_file={scenes}/annotations/instances_val.json$"
    for pipeline in ([], [packed()]):
        config[f"{split}_dataloader"]["dataset"]["pipeline"] = pipeline
        with pytest.raises(DataError, match=option):
            check_config_data(config)
    config[f"{split}_dataloader"]["dataset"]["pipeline"] = [packed("instances")]
    check_config_data(config)


def test_annotation_file_of_the_evaluator_must_exist(scenes):
    config = detector_config(scenes)
    for evaluator, key in [
        ({"ann_file": "gone.json"}, "val_evaluator.ann_file"),
        ([{"type": "Accuracy"}, {"ann_file": "gone.json"}], r"val_evaluator\.1\.ann_file"),
    ]:
        changed = {**deepcopy(config), "val_evaluator": evaluator}
        with pytest.raises(DataError, match=f"{key}: there is no file 'gone.json'"):
            check_config_data(changed)
