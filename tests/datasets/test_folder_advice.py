"""What is said of folders and lists that are not as MMPretrain wants them, and what to do."""

from io import StringIO

import pytest
from PIL import Image
from rich.console import Console

from mmrbdc.datasets import DataError
from mmrbdc.datasets.check import check_config_data
from mmrbdc.datasets.reports.inspect_folders import inspect_folders
from mmrbdc.datasets.reports.show_folders import images_table


@pytest.fixture
def tree(tmp_path):
    """Writes a picture for each path; a folder for one that ends with a slash."""

    def write(*paths):
        for path in paths:
            place = tmp_path / path
            place.parent.mkdir(parents=True, exist_ok=True)
            if path.endswith("/"):
                place.mkdir(exist_ok=True)
            else:
                Image.new("RGB", (5, 4)).save(place, "PNG")

    return write


def config_of(root, classes, ann_file="", **splits):
    data = dict(type="CustomDataset", data_root=str(root), ann_file=ann_file)
    return dict(
        model=dict(head=dict(num_classes=classes)),
        **{
            f"{split}_dataloader": dict(dataset=dict(data, data_prefix=folder))
            for split, folder in splits.items()
        },
    )


@pytest.mark.parametrize(
    ("paths", "words", "not_said"),
    [
        (
            ["t/owl_1.png", "t/owl_2.png"],
            ["2 images in it ('owl_1.png', 'owl_2.png')", "CLASS/IMAGE", "ann_file"],
            "extensions",
        ),
        (
            ["t/a.png", "t/notes.txt"],
            ["1 image in it ('a.png') and no class folders"],
            "extensions",
        ),
        (
            ["t/ant/a.png", "t/bee/"],
            ["('bee'); put images of the class there, or remove the folder"],
            "extensions",
        ),
        (
            ["t/ant/a.png", "t/bee/x.gif"],
            ["not read: 1 .gif (extensions=", "or remove the folder"],
            "link the data",
        ),
        (["t/a.webp", "t/b.webp"], ["not read: 2 .webp (extensions="], "no class folders; "),
        (["t/.hidden/a.png"], ["no class folders", "not read: 1 hidden or system"], "extensions"),
    ],
)
def test_folders_without_classes_or_images(tmp_path, tree, paths, words, not_said):
    """Suffixes are spoken of where a file has another one."""
    tree(*paths)
    with pytest.raises(DataError) as error:
        check_config_data(config_of(tmp_path, 2, train="t"))
    message = str(error.value)
    assert all(word in message for word in words) and not_said not in message, message


def test_classes_one_folder_too_deep_are_told(tmp_path, tree):
    tree("deep/all/owl/1.png", "deep/all/rook/2.png", "deep/all/rook/old/3.png")
    (line,) = check_config_data(config_of(tmp_path, 1, train="deep"))
    assert "'all' is the only class folder" in line and "2 folders below it ('owl', 'rook')" in line
    assert f"name '{tmp_path}/deep/all' as their folder" in line
    tree("deep/all/4.png", "one/all/owl/1.png")  # the twins
    assert check_config_data(config_of(tmp_path, 1, train="deep")) == []
    assert check_config_data(config_of(tmp_path, 1, train="one")) == []


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("a.png 0\nb.png 3\n", "has class number 1, 2"),
        ("a.png 2\nb.png 4\n", "has class number 0, 1, 3"),
        ("a.png 3\nb.png 4\n", "has class number 0, 1, 2; if its numbers start at 3, take 3"),
    ],
)
def test_class_numbers_without_an_image_are_told(tmp_path, tree, lines, words):
    tree("a.png", "b.png")
    (tmp_path / "list.txt").write_text(lines)
    (line,) = check_config_data(config_of(tmp_path, 5, "list.txt", train=""))
    assert words in line


def test_a_class_number_that_no_set_has_asks_for_no_such_head(tmp_path, tree):
    tree("a.png")
    (tmp_path / "list.txt").write_text(f"a.png {10**30}\n")
    with pytest.raises(DataError, match="correct the list") as error:
        check_config_data(config_of(tmp_path, 5, "list.txt", train=""))
    assert "num_classes" not in str(error.value)


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_split_that_is_not_counted_shows_no_zeros(tmp_path, tree, split):
    tree("train/ant/a.png", "train/bee/b.png", "val/ant/a.png", "val/bee/b.png")
    tree(f"{split}/cow/")
    reports, _ = inspect_folders(config_of(tmp_path, 2, train="train", val="val"), fast=True)
    text = StringIO()
    Console(file=text, width=80).print(images_table(reports))
    rows = [line.split() for line in text.getvalue().splitlines() if line.strip()]
    expected = {"train": ["-", "1"], "val": ["1", "-"]}[split]
    assert ["ant", *expected] in rows and ["bee", *expected] in rows
    assert ["all", *(number.replace("1", "2") for number in expected)] in rows
