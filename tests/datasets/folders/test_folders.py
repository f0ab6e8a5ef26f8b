"""Folders of classes are listed once, by one rule: the check's classes are those that train."""

import os
import unicodedata
from collections import Counter

import cv2
import numpy as np
import pytest
from mmpretrain.datasets import CustomDataset as Stock

from mmrbdc.datasets import CustomDataset, DataError, ImageNet
from mmrbdc.datasets.check import check_config_data
from mmrbdc.datasets.folders.dataset import ours_for
from mmrbdc.datasets.folders.listing import list_images, read_image_list
from mmrbdc.datasets.loading.rules import build_dataset, use_listed_datasets

SUFFIXES = (".jpg", ".png")
PIXELS = cv2.imencode(".png", np.zeros((4, 5, 3), np.uint8))[1].tobytes()


def tree(root, *paths):
    """Write a picture for each path; a folder for one that ends with a slash."""
    for path in paths:
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.mkdir(exist_ok=True) if path.endswith("/") else place.write_bytes(PIXELS)
    return root


def config_of(root, classes, **splits):
    splits = splits or {"train": "train", "val": "val"}
    return {"model": {"head": {"num_classes": classes}}} | {
        f"{split}_dataloader": {
            "dataset": {"type": "CustomDataset", "data_root": str(root), "data_prefix": folder}
        }
        for split, folder in splits.items()
    }


def samples(dataset):
    return [(info["img_path"], info.get("gt_label")) for info in map(dataset.get_data_info, range(len(dataset)))]  # fmt: skip # noqa: E501


@pytest.mark.parametrize("labelled", [True, False])
def test_without_hidden_entries_it_is_mmpretrains_listing(tmp_path, labelled):
    tree(tmp_path, "b/2.png", "b/10.PNG", "b/deep/er/1.jpg", "a/x.Jpg", "a/notes.txt", "a/.x.png")
    (tmp_path / "linked").symlink_to(tmp_path / "b" / "deep", target_is_directory=True)
    (tmp_path / "a" / "one.png").symlink_to(tmp_path / "b" / "2.png")
    options = dict(data_root=str(tmp_path), extensions=SUFFIXES, with_label=labelled)
    ours, theirs = CustomDataset(**options), Stock(**options)
    assert samples(ours) == samples(theirs) and len(ours) == 6
    assert ours.metainfo == theirs.metainfo


@pytest.mark.parametrize(
    "leftover",
    [
        ".ipynb_checkpoints/a-checkpoint.png",
        ".git/x.png",
        "._ant/x.png",
        "__MACOSX/ant/._a.png",
        "lost+found/",
        "@eaDir/a.png/SYNOPHOTO_THUMB_S.png",
        "ant/@eaDir/a.png/SYNOPHOTO_THUMB_S.png",
        "ant/.thumbnails/a.png",
        "$RECYCLE.BIN/a.png",
        "System Volume Information/a.png",
        "ant/._a.png",
    ],
)
def test_leftovers_become_neither_classes_nor_samples(tmp_path, leftover):
    tree(tmp_path, "train/ant/a.png", "train/bee/b.png", f"train/{leftover}")
    dataset = CustomDataset(data_root=str(tmp_path), data_prefix="train")
    assert dataset.metainfo["classes"] == ("ant", "bee")
    assert [label for _, label in samples(dataset)] == [0, 1]
    (line,) = check_config_data(config_of(tmp_path, 2, train="train"))
    assert "2 images of 2 classes" in line and "1 hidden or system (" in line


def test_mmpretrains_own_listing_is_the_wrong_twin(tmp_path):
    """What the rule is for: the stock data set makes a hidden folder class 0."""
    tree(tmp_path, "ant/a.png", "bee/b.png", ".ipynb_checkpoints/a.png")
    stock = Stock(data_root=str(tmp_path))
    assert stock.metainfo["classes"][0] == ".ipynb_checkpoints"
    assert [label for _, label in samples(stock)] == [0, 1, 2]


def test_what_is_not_read_is_counted_by_suffix(tmp_path):
    tree(
        tmp_path, "train/ant/a.JPG", "train/ant/b.webp", "train/ant/deep/c.WEBP", "train/bee/d.png"
    )
    tree(tmp_path, "train/bee/e.tiff", "train/bee/README", "train/loose.png", "train/labels.csv")
    listing = list_images(str(tmp_path / "train"), SUFFIXES, by_class=True)
    assert listing.not_read == Counter({".webp": 2, ".tiff": 1, "": 1, ".csv": 1})
    (line,) = check_config_data(config_of(tmp_path, 2, train="train"))
    assert line.startswith("2 images of 2 classes are read from ")
    for part in (
        "2 .webp",
        "1 .tiff",
        "1 without a suffix",
        "1 .csv",
        "1 beside the class folders",
    ):
        assert part in line
    assert check_config_data(config_of(tree(tmp_path / "x", "a/1.png"), 1, train="")) == []


def test_a_class_without_images_says_what_it_holds(tmp_path):
    tree(tmp_path, "train/ant/a.png", "train/bee/b.webp", "train/bee/c.webp")
    message = r"1 of 2 class folders .*\('bee'\); not read: 2 \.webp \(extensions="
    with pytest.raises(DataError, match=message):
        check_config_data(config_of(tmp_path, 1, train="train"))
    with pytest.raises(DataError, match=message):
        CustomDataset(data_root=str(tmp_path), data_prefix="train")
    read = CustomDataset(data_root=str(tmp_path), data_prefix="train", extensions=[".png", ".webp"])
    assert len(read) == 3


def test_links_that_lead_nowhere_or_in_circles_are_refused(tmp_path):
    root = str(tree(tmp_path / "x", "ant/a.png", "ant/notes.txt"))
    with pytest.raises(DataError, match="cannot be listed"):
        list_images(str(tmp_path / "gone"), SUFFIXES, by_class=False)
    for name, target, message in [
        ("ant/b.png", "/nowhere/b.png", "'/nowhere/b.png', which is not there"),
        ("bee", "/nowhere", "'/nowhere', which is not there"),
        ("ant/self.png", "self.png", "which is not there"),
        ("ant/up", tmp_path / "x", "leads back to a folder above it"),
        ("ant/here", ".", "leads back to a folder above it"),
    ]:
        link = tmp_path / "x" / name
        link.symlink_to(target)
        with pytest.raises(DataError, match=message):
            list_images(root, SUFFIXES, by_class=True)
        link.unlink()
    (tmp_path / "x" / "ant" / "old.txt").symlink_to("/nowhere/old.txt")  # it is not read anyway
    assert len(list_images(root, SUFFIXES, by_class=True)) == 1


def test_a_folder_that_cannot_be_listed_is_named(tmp_path, monkeypatch):
    root = tree(tmp_path, "ant/a.png", "bee/b.png")
    scandir = os.scandir

    def refuse(path):  # root, as whom tests may run, may read everything
        if str(path).endswith("bee"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataError, match=r"bee' cannot be listed \(Permission denied\)"):
        list_images(str(root), SUFFIXES, by_class=True)


def test_names_that_look_the_same(tmp_path):
    """Unicode twins are never meant; upper and lower case may be (letters of an alphabet)."""
    cases = tree(tmp_path / "case", "A/1.png", "a/1.png")
    (line,) = check_config_data(config_of(cases, 2, train=""))
    assert "upper and lower case only: 'A', 'a'" in line
    twins = [unicodedata.normalize(form, "Caf\u00e9") for form in ("NFC", "NFD")]
    tree(tmp_path / "twins", *(f"{name}/1.png" for name in twins))
    with pytest.raises(DataError, match=r"look the same, 'Cafe\\u0301' and 'Caf\\xe9'"):
        check_config_data(config_of(tmp_path / "twins", 2, train=""))


@pytest.mark.parametrize(
    ("train", "val", "message"),
    [
        ("bolt ", "bolt", r"only in train_dataloader.dataset: 'bolt ' \(nearest: 'bolt'\)"),
        ("Nut", "nut", r"only in train_dataloader.dataset: 'Nut' \(nearest: 'nut'\)"),
        ("washer", "washr", r"only in val_dataloader.dataset: 'washr' \(nearest: 'washer'\)"),
        ("Caf\u00e9", "Cafe\u0301", r"looks like 'Cafe\\u0301', but is written in other Unicode"),
        (
            "gear",
            "spring",
            r"only in train_dataloader.dataset: 'gear', only in val_dataloader.dataset: 'spring'",
        ),
    ],
)
def test_splits_with_other_folders_name_the_odd_one(tmp_path, train, val, message):
    """Whatever num_classes says, it is the folders that are spoken of."""
    tree(tmp_path, "train/ant/a.png", f"train/{train}/a.png")
    tree(tmp_path, "val/ant/a.png", f"val/{val}/a.png")
    for classes in (2, 7):
        with pytest.raises(DataError, match=message) as error:
            check_config_data(config_of(tmp_path, classes))
        assert "num_classes" not in str(error.value)
    tree(tmp_path, "val/extra/a.png")
    with pytest.raises(DataError, match="only in val_dataloader.dataset: .*'extra'"):
        check_config_data(config_of(tmp_path, 3))


def test_stated_class_names_must_fit_the_folders(tmp_path):
    tree(tmp_path, "ant/a.png", "bee/b.png")
    options = dict(data_root=str(tmp_path))
    assert CustomDataset(**options, classes=["Ant", "Bee"]).metainfo["classes"] == ("Ant", "Bee")
    with pytest.raises(DataError, match=r"2 class folders .* 1 class names are given \('ant'\)"):
        CustomDataset(**options, metainfo=dict(classes=("ant",)))
    with pytest.raises(DataError, match="in another order.*would bear wrong names"):
        CustomDataset(**options, classes=["bee", "ant"])


GOOD_LISTS = {
    "plain": b"ant/a.png 0\nbee/b c.png 1\n",
    "no last end of line": b"ant/a.png 0\nbee/b c.png 1",
    "empty last lines": b"ant/a.png 0\nbee/b c.png 1\n\n  \n",
    "byte-order mark": b"\xef\xbb\xbfant/a.png 0\nbee/b c.png 1\n",
    "Windows": b"ant/a.png 0\r\nbee/b c.png 1\r\n",
    "an old Mac": b"ant/a.png 0\rbee/b c.png 1\r",
    "tabs": b"ant/a.png\t0\nbee/b c.png\t1\n",
    "columns": b"ant/a.png     0\nbee/b c.png   1\n",
}


@pytest.mark.parametrize("content", GOOD_LISTS.values(), ids=GOOD_LISTS)
def test_image_lists_as_editors_leave_them(tmp_path, content):
    tree(tmp_path, "ant/a.png", "bee/b c.png")
    (tmp_path / "list.txt").write_bytes(content)
    dataset = CustomDataset(data_root=str(tmp_path), ann_file="list.txt")
    expected = [(f"{tmp_path}/ant/a.png", 0), (f"{tmp_path}/bee/b c.png", 1)]
    assert samples(dataset) == expected
    config = config_of(tmp_path, 2, train="")
    config["train_dataloader"]["dataset"]["ann_file"] = "list.txt"
    assert check_config_data(config) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "lists no image"),
        (b"\n\r\n", "lists no image"),
        (b"a.png 0\nb.png\n", "line 2 of .* is not 'IMAGE NUMBER': 'b.png'"),
        (b"a.png 0\nb.png one\n", "line 2 of .* 'b.png one'"),
        (b"a.png -1\n", "line 1 of .* 'a.png -1'"),
        (b"a.png 0.5\n", "line 1 of .* 'a.png 0.5'"),
        ("a.png \u00b2\n".encode(), "line 1 of"),
        ("a.png 0\n".encode("utf-16"), "not in UTF-8 but in UTF-16; save it"),
        ("\ufeffa.png 0\n".encode("utf-16-be"), "not in UTF-8 but in UTF-16; save it"),
        ("caf\u00e9.png 0\n".encode("cp1252"), "not in UTF-8"),
        (b"a.png 1\nb.png 2\n", "from 1 to 2, but MMPretrain counts from 0 to 1"),
        (b"a.png 0\nb.png 2\n", r"class number 2, but the config says model\.head\.num_classes=2"),
        (b"a.png 0\ngone.png 1\n", r"1 of 2 images .* are not in .*: 'gone\.png'"),
    ],
)
def test_image_lists_that_are_wrong(tmp_path, content, message):
    tree(tmp_path, "a.png", "b.png")
    (tmp_path / "list.txt").write_bytes(content)
    config = config_of(tmp_path, 2, train="")
    config["train_dataloader"]["dataset"]["ann_file"] = "list.txt"
    with pytest.raises(DataError, match=message):
        check_config_data(config)


@pytest.mark.parametrize(
    "names, content, words",
    [
        (dict(classes=("x", "y")), "a.png 0\nb.png 2\n",
         [".dataset.classes names 2 classes ('x', 'y')", "3 names are needed"]),
        (dict(metainfo=dict(classes=["x"])), "a.png 0\nb.png 4\n",
         [".dataset.metainfo.classes names 1 class ('x')", "5 names are needed"]),
        (dict(classes=("x", "y")), "a.png 1\nb.png 2\n", ["take 1 from each number"]),
        (dict(type="ImageNet"), "a.png 0\nb.png 1000\n",
         ["type 'ImageNet' names 1000 classes", "take type='CustomDataset' and name them"]),
    ],
)  # fmt: skip
def test_numbers_without_a_name_ask_for_names(tmp_path, names, content, words):
    """The key is that of the config, and no number is advised in the place of names."""
    tree(tmp_path, "a.png", "b.png")
    (tmp_path / "list.txt").write_text(content)
    config = config_of(tmp_path, 3, train="")
    config["train_dataloader"]["dataset"].update(ann_file="list.txt", **names)
    with pytest.raises(DataError) as error:
        check_config_data(config)
    message = str(error.value)
    assert all(word in message for word in words) and "classes=" not in message


@pytest.mark.parametrize(
    "changed, words",
    [
        (dict(classes="cell"), "classes is the text 'cell'.* classes = \\('cell',\\)"),
        (dict(metainfo=dict(classes="my cell")), "classes is the text 'my cell'"),
        (dict(classes=2), "classes must be a tuple of names, got 2"),
        (dict(metainfo=dict(classes=("a", 1))), "classes must be a tuple of names"),
        (dict(data_root=[1, 2]), r"data_root=\[1, 2\].*TypeError"),
        (dict(extensions=3), "extensions=3.*TypeError"),
        (dict(data_rot="x"), "unexpected keyword argument 'data_rot'"),
    ],
)
def test_arguments_of_a_wrong_kind_name_their_data_set(tmp_path, changed, words):
    tree(tmp_path, "t/one/a.png")
    config = config_of(tmp_path, 1, train="t")
    config["train_dataloader"]["dataset"].update(changed)
    with pytest.raises(ValueError, match=f"^train_dataloader.dataset: .*{words}"):
        check_config_data(config)


def test_a_file_of_names_is_read(tmp_path, monkeypatch):
    """Beside a text that is none; a place below ~ as MMPretrain reads it."""
    tree(tmp_path, "t/one/a.png", "t/two/b.png")
    (tmp_path / "names.txt").write_text("one\ntwo\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    for names in ("~/names.txt", str(tmp_path / "names.txt"), ["one", "two"]):
        config = config_of(tmp_path, 2, train="t")
        config["train_dataloader"]["dataset"]["classes"] = names
        assert check_config_data(config) == []


def test_numbers_that_may_start_at_one_are_said(tmp_path):
    tree(tmp_path, "a.png", "b.png")
    (tmp_path / "list.txt").write_text("a.png 1\nb.png 2\nb.png 2\n")
    config = config_of(tmp_path, 5, train="")
    config["train_dataloader"]["dataset"]["ann_file"] = "list.txt"
    repeated, numbers = check_config_data(config)
    assert "no image in" in numbers and "class number 0" in numbers
    assert "1 image more than once" in repeated


def test_lists_without_labels(tmp_path):
    (tmp_path / "list.txt").write_bytes(b"\xef\xbb\xbfa b.png\r\n\r\nc.png\r\n")
    assert read_image_list(tmp_path / "list.txt", labelled=False) == [("a b.png", None), ("c.png", None)]  # fmt: skip # noqa: E501


class Mine(Stock):
    """A user's data set of the same kind."""


def test_exactly_the_stock_types_are_exchanged(tmp_path):
    for kind in ("CustomDataset", "mmpretrain.CustomDataset", Stock, "mmrbdc.CustomDataset"):
        assert ours_for(kind) is CustomDataset
    assert ours_for("mmpretrain.datasets.ImageNet") is ImageNet
    assert ours_for(Mine) is ours_for("CIFAR10") is ours_for("mmpretrain.ImageNet21k") is None
    part = dict(type="CustomDataset", data_root="x")
    loader = dict(dataset=dict(type="ConcatDataset", datasets=[part, dict(type="CIFAR10")]))
    assert use_listed_datasets(loader) == ["CustomDataset"] and use_listed_datasets(loader) == []
    assert part["type"] == "mmrbdc.CustomDataset"
    tree(tmp_path, "ant/a.png", ".x/b.png")
    config = dict(type="mmpretrain.CustomDataset", data_root=str(tmp_path))
    assert type(build_dataset(config)) is CustomDataset
    assert config["type"] == "mmpretrain.CustomDataset"
