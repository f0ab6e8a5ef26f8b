"""Drawn folders and lists: check and data set agree, or both give the same one-line error."""

import shutil

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mmrbdc.datasets import CustomDataset, DataError
from mmrbdc.datasets.check import check_config_data
from mmrbdc.datasets.reports.inspect_folders import inspect_folders

NAMES = st.sampled_from(
    [
        "ant",
        "Bee",
        ".git",
        "__MACOSX",
        "@eaDir",
        "caf\u00e9",
        "cafe\u0301",
        "a b",
        "[x]",
        "x,y",
        "#",
    ]
)
FILES = st.sampled_from(["1.png", "2.JPG", "._1.png", "x.webp", "none", "a b.png", "Thumbs.db"])
ENTRIES = st.lists(
    st.tuples(st.lists(NAMES, max_size=2), FILES, st.sampled_from("ffffffldb")), max_size=8
)
LINES = st.lists(
    st.sampled_from(
        ["ant/1.png 0", "ant/1.png\t1", "", "  ", "ant/1.png", "a b 1", "ant/1.png 2\r", "x.png -1"]
    ),
    max_size=5,
)


def build(root, entries):
    shutil.rmtree(root, ignore_errors=True)
    (root / "data").mkdir(parents=True)
    for folders, file, kind in entries:
        place = root.joinpath("data", *folders)
        try:
            place.mkdir(parents=True, exist_ok=True)
            if kind == "f":
                (place / file).write_bytes(b"x")
            elif kind == "l":
                (place / file).symlink_to(root / "gone")
            elif kind == "d":
                (place / file).mkdir()
            else:
                (place / file).symlink_to(place)
        except OSError:  # the name is taken
            continue


def outcomes(root, **options):
    """Samples and classes of the data set and of the check, or their errors."""
    dataset = dict(type="CustomDataset", data_root=str(root), data_prefix="data", **options)
    try:
        built = CustomDataset(**{k: v for k, v in dataset.items() if k != "type"})
        ours = (len(built), built.metainfo.get("classes"))
    except DataError as error:
        ours = str(error)
    config = dict(train_dataloader=dict(dataset=dataset))
    reports, _ = inspect_folders(config, fast=True)
    try:
        check_config_data(config)
        start = None
    except DataError as error:
        start = str(error)
    return ours, reports[0], start


def agree(root, entries, lines):
    build(root, entries)
    ours, report, start = outcomes(root)
    if isinstance(ours, str):
        assert ours in start and "\n" not in start and report.errors == [start]
    else:
        assert start is None and report.images == ours[0] == sum(report.class_images.values())
        assert tuple(report.class_images) == ours[1]
        hidden = (".git", "__MACOSX", "@eaDir")
        assert not set(ours[1]) & set(hidden)
    (root / "list.txt").write_text("\ufeff" + "\n".join(lines))
    ours, report, start = outcomes(root, ann_file="list.txt")
    if isinstance(ours, str):
        assert ours in start and "\n" not in start
    elif start is None:
        assert report.images == ours[0] == sum(1 for line in lines if line.strip())


COMMON = dict(
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@settings(max_examples=30, **COMMON)
@given(ENTRIES, LINES)
def test_check_and_data_set_agree(tmp_path, entries, lines):
    agree(tmp_path / "x", entries, lines)


@pytest.mark.slow
@settings(max_examples=2000, **COMMON)
@given(ENTRIES, LINES)
def test_check_and_data_set_agree_on_many(tmp_path, entries, lines):
    agree(tmp_path / "x", entries, lines)
