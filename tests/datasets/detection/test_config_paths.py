"""Where a config's files and images are, and those that are not there."""

import json
from pathlib import Path

import pytest
from mmdet.datasets import CocoDataset as MMDetCocoDataset
from mmengine.config import Config

from mmrbdc.datasets.check import check_config_data
from mmrbdc.datasets.configs import joined
from tests.datasets.detection.detector_config import LOAD, config, refused


@pytest.mark.parametrize("root", ["", None, "nowhere", "/nowhere"])
def test_absolute_paths_stay(place, root):
    """As MMEngine joins them: not below data_root."""
    changes = dict(
        data_root=root, ann_file=f"{place}/train.json", data_prefix=dict(img=f"{place}/train")
    )
    check_config_data(config(place, **changes))
    changes["ann_file"] = f"{place}/gone.json"
    message = refused(config(place, **changes))
    assert (
        f"no file '{place}/gone.json'" in message and "train_dataloader.dataset.ann_file" in message
    )


@pytest.mark.parametrize(
    ("root", "path"),
    [
        ("data", "a/b.json"),
        ("data/", "b.json"),
        ("data", "/a/b.json"),
        ("", "b.json"),
        (None, "b.json"),
        ("data", "s3://bucket/b.json"),
    ],
)
def test_paths_are_joined_as_mmengine_joins_them(root, path):
    dataset = MMDetCocoDataset(ann_file=path, data_root=root, lazy_init=True, pipeline=[])
    found = joined(root, path)
    assert found == dataset.ann_file or Path(found) == Path(dataset.ann_file)


def test_remote_files_are_not_looked_at(place):
    cfg = config(place, data_root="http://host/")
    check_config_data(cfg)
    cfg.val_dataloader.dataset.ann_file = "https://host/val.json"
    cfg.val_evaluator.ann_file = "s3://bucket/val.json"
    check_config_data(cfg)


def test_the_template_takes_absolute_files(tmp_path):
    """configs/custom/dataset.py, with val_file and test_file elsewhere."""
    root = Path(__file__).parents[3]
    text = (root / "configs/custom/dataset.py").read_text()
    text = text.replace('"../_base_', f'"{root}/configs/_base_')
    text = text.replace(
        'val_file, val_images = "annotations/', 'val_file, val_images = "/else/where/'
    )
    (tmp_path / "dataset.py").write_text(text)
    cfg = Config.fromfile(tmp_path / "dataset.py")
    assert cfg.val_evaluator.ann_file == cfg.test_evaluator.ann_file == "/else/where/val.json"
    assert cfg.val_dataloader.dataset.ann_file == "/else/where/val.json"
    assert json.dumps(cfg.train_dataloader.dataset.ann_file) == '"annotations/train.json"'


READ = dict(type="LoadImageFromFile")


@pytest.fixture
def pictures(place):
    """The same, and every image of both splits is a file."""
    for name in ("train", "val"):
        for row in json.loads((place / f"{name}.json").read_text())["images"]:
            (place / name / row["file_name"]).touch()
    return place


def names(place, split):
    return [row["file_name"] for row in json.loads((place / f"{split}.json").read_text())["images"]]


@pytest.mark.parametrize("become", ["nothing", "folder", "dead link"])
@pytest.mark.parametrize("reader", ["LoadImageFromFile", "mmrbdc.LoadImageFromFile"])
def test_images_that_are_not_there_are_named_before_anything(pictures, become, reader):
    cfg = config(pictures, pipeline=[dict(type=reader, backend_args=None), LOAD])
    check_config_data(cfg)
    first = names(pictures, "train")[0]
    path = pictures / "train" / first
    path.unlink()
    if become == "folder":
        path.mkdir()
    elif become == "dead link":
        path.symlink_to(pictures / "nowhere.png")
    message = refused(cfg)
    assert message.startswith("train_dataloader.dataset: 1 of ") and repr(first) in message
    assert "entries of 'images'" in message and "data_prefix.img" in message


def test_images_of_a_test_are_looked_for_too(pictures):
    cfg = config(pictures)
    cfg.test_dataloader.dataset.pipeline = [READ, LOAD]
    check_config_data(cfg)
    (pictures / "val" / names(pictures, "val")[-1]).unlink()
    assert "test_dataloader.dataset: 1 of " in refused(cfg)


@pytest.mark.parametrize(
    "reader",
    [
        dict(READ, backend_args=dict(backend="petrel")),
        dict(READ, file_client_args=dict(backend="ceph")),
        dict(type="LoadFromAnArchive"),
    ],
)
def test_twin_images_that_are_no_files_of_this_machine_are_not_looked_for(pictures, reader):
    (pictures / "train" / names(pictures, "train")[0]).unlink()
    check_config_data(config(pictures, pipeline=[reader, LOAD]))
    refused(config(pictures, pipeline=[READ, LOAD]))


def test_another_image_may_be_drawn_in_its_place(pictures):
    gone = names(pictures, "train")[0]
    (pictures / "train" / gone).unlink()
    cfg = config(pictures, pipeline=[dict(READ, ignore_empty=True), LOAD])
    (told,) = [line for line in check_config_data(cfg) if gone in line]
    assert "other images are drawn in their place" in told
    cfg.val_dataloader.dataset.pipeline = [dict(READ, ignore_empty=True)]
    (pictures / "val" / names(pictures, "val")[0]).unlink()
    assert refused(cfg).startswith("val_dataloader.dataset")  # a test leaves nothing out


def test_every_folder_is_listed_once(tmp_path, monkeypatch):
    """Folders in names, absolute names; 20,000 images take no lookup of their own."""
    from mmrbdc.datasets.coco import pictures as module

    for part in ("a", "b/c"):
        (tmp_path / part).mkdir(parents=True)
        (tmp_path / part / "1.png").touch()
    wanted = [f"{part}/1.png" for part in ("a", "b/c")] * 10_000
    wanted += [str(tmp_path / "a" / "1.png"), "a/../b/c/1.png"]
    seen = []
    monkeypatch.setattr(module, "_files_in", lambda place: seen.append(place) or {"1.png"})
    assert module.missing_files(tmp_path, wanted) == [] and len(seen) == 3
    monkeypatch.undo()
    assert module.missing_files(tmp_path, [*wanted, "a/2.png", "d/1.png", "a"]) == [
        "a/2.png",
        "d/1.png",
        "a",
    ]
