"""Training data are known again by their content."""

import pytest

from mmrbdc.engine.inputs.train_files import KEY, changed_files, training_files


@pytest.fixture
def place(tmp_path):
    for name in ("train/ant/a.png", "train/ant/b.png", "train/bee/c.png", "train/.hidden/d.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "list.txt").write_text("ant/a.png 0\nbee/c.png 1\n")
    (tmp_path / "one.json").write_text('{"images": []}')
    (tmp_path / "two.json").write_text('{"images": [1]}')
    return tmp_path


def of(*datasets):
    dataset = datasets[0] if len(datasets) == 1 else dict(type="ConcatDataset", datasets=datasets)
    wrapped = dict(type="RepeatDataset", times=2, dataset=dataset)
    return dict(train_dataloader=dict(dataset=wrapped), val_dataloader=dict(dataset={}))


def coco(place, name="one.json"):
    return dict(type="CocoDataset", data_root=str(place), ann_file=name)


def folders(place, **others):
    return dict(
        type="mmpretrain.CustomDataset", data_root=str(place), data_prefix="train", **others
    )


def test_files_are_found_in_wrappers_and_absolute(place):
    cfg = of(coco(place, "one.json"), coco("elsewhere", f"{place}/two.json"), folders(place))
    found = training_files(cfg)
    assert set(found) == {f"{place}/one.json", f"{place}/two.json", f"{place}/train"}
    assert len(set(found.values())) == 3 and all(len(value) == 64 for value in found.values())
    assert training_files(cfg) == found
    assert training_files(dict(val_dataloader=cfg["train_dataloader"])) == {}
    remote = dict(type="CocoDataset", data_root="s3://bucket", ann_file="one.json")
    assert training_files(of(remote)) == {}


@pytest.mark.parametrize(
    ("dataset", "change", "named"),
    [
        (coco, lambda p: (p / "one.json").write_text('{"images": [ ]}'), "one.json"),
        (folders, lambda p: (p / "train/ant/a.png").rename(p / "train/bee/a.png"), "train"),
        (folders, lambda p: (p / "train/ant/new.png").touch(), "train"),
        (
            lambda place: folders(place, ann_file="list.txt"),
            lambda p: (p / "list.txt").write_text("bee/c.png 1\nant/a.png 0\n"),
            "list.txt",
        ),
    ],
)
def test_another_content_is_named(place, dataset, change, named):
    cfg = of(dataset(place))
    begun = {KEY: training_files(cfg)}
    assert changed_files(begun, training_files(cfg), place) is None
    change(place)
    told = changed_files(begun, training_files(cfg), place)
    assert f"'{place}/{named}'" in told and "bring the training data back" in told


@pytest.mark.parametrize(
    "change",
    [
        lambda p: (p / "train/ant/notes.txt").touch(),
        lambda p: (p / "train/.hidden/e.png").touch(),
        lambda p: (p / "train/ant/a.png").write_bytes(b"image"),
        lambda p: (p / "two.json").write_text("{}"),
    ],
)
def test_what_is_not_read_may_change(place, change):
    """The twin: other files, and the bytes of images, which are too many to read."""
    cfg = of(folders(place), coco(place, "one.json"))
    begun = {KEY: training_files(cfg)}
    change(place)
    assert changed_files(begun, training_files(cfg), place) is None


def test_records_without_them_are_taken(place):
    assert changed_files({}, training_files(of(coco(place, "one.json"))), place) is None
