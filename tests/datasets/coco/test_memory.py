"""A run parses and judges each of its files once; a file that changed is read again."""

import copy
import os

import pytest
from mmdet.datasets.transforms import LoadAnnotations
from pycocotools.cocoeval import COCOeval

import mmrbdc.engine  # noqa: F401  (fills the registry)
from mmrbdc.datasets import check_config_data
from mmrbdc.datasets.coco import index, judge, memory, quietly, read_coco
from mmrbdc.datasets.coco.memory import forget, judged
from mmrbdc.datasets.detection.dataset import CocoDataset
from mmrbdc.datasets.errors import DataError
from mmrbdc.engine.evaluation.coco_metric import CocoMetric
from mmrbdc.engine.hooks.reading import ReadingHook
from tests.datasets.coco.small_coco import CLASSES, changed, detections, small, write


@pytest.fixture(autouse=True)
def read(monkeypatch):
    """The files that were parsed, and by which rules they were judged."""
    forget()
    done = []
    monkeypatch.setattr(memory, "read_coco", lambda p: done.append(str(p)) or read_coco(p))

    def noted(file, masks, *, objects):
        done.append((masks, objects))
        return judge(file, masks, objects=objects)

    monkeypatch.setattr(memory, "judge", noted)
    yield done
    forget()


def run_config(folder, masks=True):
    """A detector's, which trains on one file and is scored on another."""
    (folder / "images").mkdir(exist_ok=True)
    (folder / "images" / "0.png").touch()

    def dataset(name, **others):
        return dict(
            type="CocoDataset",
            ann_file=str(folder / f"{name}.json"),
            data_prefix=dict(img=str(folder / "images")),
            metainfo=dict(classes=CLASSES),
            pipeline=[dict(type="LoadAnnotations", with_bbox=True, with_mask=masks)],
            **others,
        )

    kinds = ["bbox", "segm"] if masks else ["bbox"]
    return dict(
        train_dataloader=dict(dataset=dataset("train")),
        val_dataloader=dict(dataset=dataset("val", test_mode=True)),
        val_evaluator=dict(type="CocoMetric", ann_file=str(folder / "val.json"), metric=kinds),
    )


def built(cfg):
    """The data sets and the metric as a run builds them."""
    load = LoadAnnotations(with_bbox=True, with_mask=True)
    sets = []
    for split in ("train", "val"):
        options = dict(cfg[f"{split}_dataloader"]["dataset"], pipeline=[load])
        options.pop("type")
        with quietly():
            sets.append(CocoDataset(**options))
    metric = {k: v for k, v in cfg["val_evaluator"].items() if k != "type"}
    return sets, CocoMetric(**metric)


def test_check_data_set_and_metric_read_each_file_once(tmp_path, read):
    for number, name in enumerate(("train", "val")):
        write(tmp_path, small(seed=number), f"{name}.json")
    cfg = run_config(tmp_path)
    check_config_data(cfg)
    (train, val), metric = built(cfg)
    files = [part for part in read if isinstance(part, str)]
    assert sorted(map(os.path.basename, files)) == ["train.json", "val.json"]
    assert len(read) == 4  # each judged once as well
    assert len(train) == len(val) == 6 and len(metric._coco_api.anns) == 16

    ReadingHook.before_run(ReadingHook(), _Runner())
    index(tmp_path / "val.json")
    assert len([part for part in read if isinstance(part, str)]) == 3  # nothing is kept


class _Runner:
    """A runner whose loops hold no loaders."""

    _train_loop = _val_loop = _test_loop = None


def test_without_a_check_nothing_is_kept(tmp_path, read):
    """A data set in another's run holds no file longer than it builds."""
    path = write(tmp_path, small())
    index(path)
    index(path)
    assert [part for part in read if isinstance(part, str)] == [str(path)] * 2
    assert not memory._kept


@pytest.mark.parametrize("way", ["same size and time", "another size", "a link moved"])
def test_a_changed_file_is_judged_again(tmp_path, read, way):
    path = write(tmp_path, small())
    if way == "a link moved":
        path = tmp_path / "link.json"
        path.symlink_to("annotations.json")
    assert judged(path, True, keep=True).errors == ()
    before = os.stat(path)
    worse = changed("annotations", 1, category_id=9)  # one digit in place of another
    if way == "a link moved":
        write(tmp_path, worse, "other.json")
        path.unlink()
        path.symlink_to("other.json")
    else:
        write(tmp_path, worse)
    if way == "another size":
        path.write_bytes(b" " + path.read_bytes())
    elif way == "same size and time":
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert (os.stat(path).st_size, os.stat(path).st_mtime_ns) == (
            before.st_size,
            before.st_mtime_ns,
        )
    with pytest.raises(DataError, match="'category_id' is 9"):
        index(path, masks=True)
    path.unlink()
    with pytest.raises(DataError, match="is missing"):
        index(path, masks=True)


def test_rules_that_ask_for_less_take_the_verdict_of_more(tmp_path, read):
    path = write(tmp_path, small())
    judged(path, True, keep=True)
    for masks, objects in [(True, True), (False, True), (None, False), (True, False)]:
        assert judged(path, masks, objects=objects).errors == ()
    assert read == [str(path), (True, True)]


@pytest.mark.parametrize(
    ("first", "then"), [((False, True), (True, True)), ((True, False), (True, True))]
)
def test_rules_that_ask_for_more_are_asked(tmp_path, read, first, then):
    """What is no error where masks are not used, or where no object is needed, may be one."""
    content = changed("annotations", 0, segmentation=[1, 2, 3])
    if first[0]:
        content["annotations"] = []
    path = write(tmp_path, content)
    assert judged(path, first[0], objects=first[1], keep=True).errors == ()
    assert judged(path, then[0], objects=then[1]).errors
    assert read == [str(path), first, then]


def test_a_verdict_with_errors_is_of_its_own_rules_only(tmp_path):
    path = write(tmp_path, changed("annotations", 0, segmentation=[1, 2, 3]))
    assert judged(path, True, keep=True).errors
    assert (
        judged(path, False).errors == () and "segmentation" not in index(path, masks=False).anns[1]
    )


def test_files_that_are_large_together_are_not_kept(tmp_path, read, monkeypatch):
    paths = [write(tmp_path, small(seed=n), f"{n}.json") for n in range(3)]
    monkeypatch.setattr(memory, "MOST_BYTES", 2.5 * paths[0].stat().st_size)
    for path in [*paths, *paths]:
        judged(path, True, keep=True)
    files = [part for part in read if isinstance(part, str)]
    assert files == [*map(str, paths), str(paths[2])]


def test_what_an_evaluation_writes_stays_its_own(tmp_path):
    """pycocotools writes RLE over polygons; an index of the same file made later has polygons."""
    content = small()
    path = write(tmp_path, content)
    judged(path, True, keep=True)
    kept = copy.deepcopy(memory._kept[str(path)].file.content)
    first = index(path, masks=True)
    with quietly():
        found = first.loadRes(detections(content, masks=True))
        COCOeval(first, found, "segm").evaluate()
    assert isinstance(first.anns[1]["segmentation"], dict)
    assert isinstance(index(path, masks=True).anns[1]["segmentation"], list)
    assert memory._kept[str(path)].file.content == kept
