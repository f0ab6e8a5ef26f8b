"""What the start of a run asks of its COCO files, loaders and evaluators alike, before anything."""

import json
from pathlib import Path

import pytest
from mmdet.datasets import CocoDataset as MMDetCocoDataset
from mmdet.registry import DATASETS
from mmengine.config import Config
from PIL import Image

from mmrbdc.datasets.check import check_config_data
from mmrbdc.datasets.coco import memory
from mmrbdc.datasets.configs import joined
from mmrbdc.datasets.errors import DataError
from mmrbdc.datasets.reports.inspect_coco import inspect_config, splits_of_config
from mmrbdc.engine import launch
from tests.datasets.coco.small_coco import CLASSES, changed, corners, small, write

LOAD = dict(type="LoadAnnotations", with_bbox=True, with_mask=True)


@pytest.fixture
def place(tmp_path):
    """Two splits of one set, and a folder of images that nothing opens."""
    for name in ("train", "val"):
        write(tmp_path, small(seed=name == "val"), f"{name}.json")
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.png").touch()
    return tmp_path


def config(place, **train):
    """A detector's config, as far as data are concerned; ``train`` changes its training set."""

    def loader(name, **others):
        data = dict(
            type="CocoDataset",
            data_root=str(place),
            ann_file=f"{name}.json",
            data_prefix=dict(img=f"{name}/"),
            metainfo=dict(classes=CLASSES),
            pipeline=[LOAD],
        )
        return dict(dataset=data | others)

    score = dict(type="CocoMetric", ann_file=f"{place}/val.json", metric=["bbox", "segm"])
    return Config(
        dict(
            model=dict(head=dict(num_classes=3)),
            train_dataloader=loader("train", **train),
            val_dataloader=loader("val", test_mode=True),
            test_dataloader=loader("val", test_mode=True),
            val_evaluator=score,
            test_evaluator=[dict(type="DumpResults"), score],
        )
    )


def refused(cfg):
    with pytest.raises(DataError) as raised:
        check_config_data(cfg)
    assert "\n" not in str(raised.value)
    return str(raised.value)


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


def test_classes_in_another_order_than_the_file(place):
    message = refused(config(place, metainfo=dict(classes=("bee", "ant", "cow"))))
    assert "another order" in message and "pictures would bear wrong names" in message
    assert message.endswith("in the file's order: classes = ('ant', 'bee', 'cow')")
    message = refused(config(place, metainfo=dict(classes=["cow", "bee"])))
    assert message.endswith("classes = ('bee', 'cow')")


def test_an_evaluator_of_other_images(place):
    content = small(1)
    for image in content["images"]:
        image["file_name"] = f"val/{image['file_name']}"
    write(place, content, "val-with-folders.json")
    cfg = config(place)
    cfg.test_evaluator[1].ann_file = f"{place}/val-with-folders.json"
    assert check_config_data(cfg) == []
    content = small(1)
    content["images"][2]["file_name"] = "other.png"
    write(place, content, "other.json")
    cfg = config(place)
    cfg.test_evaluator[1].ann_file = f"{place}/other.json"
    message = refused(cfg)
    assert message.startswith("test_evaluator.1.ann_file: ")
    assert "'other.png' under the id 16, which is '2.png' in" in message
    content["images"][2]["id"] = 17
    for row in content["annotations"]:
        row["image_id"] += row["image_id"] == 16
    write(place, content, "other.json")
    assert "no image under the id 16, which is '2.png'" in refused(cfg)


def test_an_evaluator_of_other_objects(place):
    """Two splits often number and name their images alike: 0.png, 1.png, ..."""
    cfg = config(place)
    cfg.val_evaluator.ann_file = f"{place}/train.json"
    assert "not one is the same; score against the annotations" in refused(cfg)
    content = small(1)
    content["annotations"][3]["bbox"][0] += 1
    write(place, content, "mended.json")
    cfg.val_evaluator.ann_file = f"{place}/mended.json"
    (remark,) = check_config_data(cfg)
    assert "mended.json' has 15 of the 16 objects of" in remark


def test_an_evaluator_with_categories_in_another_order(place):
    content = small(1)
    content["categories"].reverse()
    write(place, content, "other.json")
    cfg = config(place)
    cfg.val_evaluator.ann_file = f"{place}/other.json"
    assert "both need the same ones in the same order" in refused(cfg)


def test_an_evaluator_of_more_images_is_told(place):
    cfg = config(place)
    cfg.val_dataloader.dataset.indices = 4
    (remark,) = check_config_data(cfg)
    assert "2 of 6 images of" in remark and "count as not found" in remark


def test_an_evaluator_without_anything_to_score(place):
    content = small(1)
    for row in content["annotations"]:
        row["iscrowd"] = 1
    write(place, content, "val.json")
    assert "has no object of the classes 'ant', 'bee', 'cow'" in refused(config(place))


def test_an_evaluator_is_judged_as_its_metric_needs(place):
    """With boxes only, masks that are none do not matter; with one metric of masks they do."""
    write(place, changed("annotations", segmentation=[1, 2, 3, 4, 5, 6]), "val.json")
    cfg = config(place)
    for name in ("val", "test"):
        cfg[f"{name}_dataloader"].dataset.pipeline = [dict(type="LoadAnnotations")]
    cfg.val_evaluator.metric = "bbox"
    cfg.test_evaluator[1].metric = ["bbox"]
    (remark,) = check_config_data(cfg)
    assert "masks are not used here" in remark
    cfg.val_evaluator.metric = "segm"
    assert "a flat list of numbers" in refused(cfg)


def test_format_only_needs_no_annotations(place):
    content = small(1)
    del content["annotations"]
    write(place, content, "val.json")
    cfg = config(place)
    assert "'annotations' should be a list, got missing" in refused(cfg)
    cfg.val_evaluator.format_only = cfg.test_evaluator[1].format_only = True
    assert check_config_data(cfg) == []


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


def test_subclasses_that_read_the_same_files_are_judged(place):
    class SameFiles(MMDetCocoDataset):
        METAINFO = dict(classes=CLASSES)

    class OtherFiles(MMDetCocoDataset):
        def load_data_list(self):
            return []

    DATASETS.register_module(module=SameFiles)
    DATASETS.register_module(module=OtherFiles)
    try:
        write(place, changed("annotations", area=None), "train.json")
        for kind in ("SameFiles", "mmdet.SameFiles", SameFiles):
            assert "'area' is None" in refused(config(place, type=kind))
        for kind in ("OtherFiles", OtherFiles, "LVISDataset"):
            check_config_data(config(place, type=kind))
    finally:
        for kind in ("SameFiles", "OtherFiles"):
            DATASETS.module_dict.pop(kind)


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


@pytest.mark.parametrize("as_class", [True, False])
@pytest.mark.parametrize("names", [CLASSES, CLASSES[1:], ("bee",)])
def test_a_type_of_ones_own_is_judged_with_its_own_classes(place, names, as_class):
    """MMDetection's documented way: a subclass with METAINFO, a config without metainfo."""

    class OwnBirds(MMDetCocoDataset):
        METAINFO = dict(classes=names, palette=[(1, 2, 3)] * len(names))

    DATASETS.register_module(module=OwnBirds)
    try:
        cfg = config(place)
        cfg.model.head.num_classes = len(names)
        for name in ("train", "val", "test"):
            data = cfg[f"{name}_dataloader"].dataset
            data.type = OwnBirds if as_class else "mmdet.OwnBirds"
            data.metainfo = dict(palette=[(4, 5, 6)] * len(names))
        assert check_config_data(cfg) == []
        assert {split.classes for split in splits_of_config(cfg)} == {names}
        OwnBirds.METAINFO = dict(classes=("wasp", *names))
        assert "has no category 'wasp', it has" in refused(cfg)
        OwnBirds.METAINFO = dict(classes=(*names, *names[:1]))
        assert f"more than once: {names[0]!r}; name each once" in refused(cfg)
        OwnBirds.METAINFO = {}
        assert "OwnBirds has no classes of its own; name those of the file in" in refused(cfg)
    finally:
        DATASETS.module_dict.pop("OwnBirds")


@pytest.mark.parametrize(
    ("kind", "name"),
    [("CityscapesDataset", "rider"), ("DeepFashionDataset", "leggings"), ("CocoDataset", "zebra")],
)
def test_stock_types_are_judged_with_their_own_classes(place, kind, name):
    cfg = config(place, type=kind)
    del cfg.train_dataloader.dataset.metainfo
    classes = splits_of_config(cfg)[0].classes
    assert name in classes and classes == tuple(DATASETS.get(kind).METAINFO["classes"])
    assert f"has no category {classes[0]!r}" in refused(cfg)


@pytest.mark.parametrize("classes", [("ant", "ant", "bee", "cow"), ("bee", "cow", "bee")])
def test_classes_that_stand_twice(place, classes):
    """Not: in another order, or no category of the file."""
    cfg = config(place, metainfo=dict(classes=classes))
    message = refused(cfg)
    assert "train_dataloader.dataset: the config names classes more than once: " in message
    reports, _, _ = inspect_config(cfg)
    assert message.partition(": ")[2] in reports[0].errors and "order" not in message


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
