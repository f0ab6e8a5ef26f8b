"""What the judge accepts is what pycocotools and MMDetection read of the same file, bit for bit."""

import contextlib
import copy
import io

import numpy as np
import pytest
from mmdet.datasets import CocoDataset as MMDetCocoDataset
from mmdet.datasets.transforms import LoadAnnotations
from mmdet.evaluation import CocoMetric
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mmrbdc.datasets.coco import index, judge, read_coco, read_json
from mmrbdc.datasets.coco.renumber import renumber
from mmrbdc.datasets.detection.dataset import CocoDataset, JudgedCOCO, judged_datasets
from mmrbdc.datasets.detection.training import what_is_kept
from mmrbdc.datasets.errors import DataError
from tests.datasets.coco.small_coco import CLASSES, HEIGHT, WIDTH, changed, detections, small, write


def stats(truth, found, kind):
    with contextlib.redirect_stdout(io.StringIO()):
        evaluator = COCOeval(truth, truth.loadRes(copy.deepcopy(found)), kind)
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return evaluator.stats.tolist()


def stock(path):
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


def made(kind, path, **others):
    """A data set of MMDetection's or ours."""
    options = dict(
        ann_file=str(path),
        data_prefix=dict(img="images"),
        metainfo=dict(classes=CLASSES),
        pipeline=[LoadAnnotations(with_bbox=True, with_mask=True)],
        serialize_data=False,
    )
    with contextlib.redirect_stdout(io.StringIO()):
        return kind(**options | others)


def trained(dataset, poly2mask=True):
    """Boxes, labels and mask pixels of all images, crowds apart."""
    load = LoadAnnotations(with_bbox=True, with_mask=True, poly2mask=poly2mask)
    rows = []
    for number in range(len(dataset)):
        data = dataset.get_data_info(number)
        data["ori_shape"] = data["img_shape"] = (data["height"], data["width"])
        data = load(data)
        masks = data["gt_masks"].to_ndarray().sum(axis=(1, 2))
        parts = (data["gt_bboxes"].numpy(), data["gt_bboxes_labels"], data["gt_ignore_flags"])
        rows.append([data["img_id"], *(part.tolist() for part in parts), masks.tolist()])
    return rows


@pytest.mark.parametrize("kind", ["bbox", "segm"])
@pytest.mark.parametrize("seed", range(4))
def test_scores_are_those_of_pycocotools_on_the_file(tmp_path, seed, kind):
    content = small(seed)
    path = write(tmp_path, content)
    found = detections(content, seed, masks=kind == "segm")
    expected = stats(stock(path), found, kind)
    assert stats(index(path, masks=True), found, kind) == expected
    assert 0.1 < expected[0] < 1


def test_a_repaired_copy_scores_the_same(tmp_path):
    """Without iscrowd pycocotools stops; counted as 0 it is the file in which that is written."""
    content = small()
    for row in content["annotations"]:
        row["iscrowd"] = 0
    repaired = write(tmp_path, content, "repaired.json")
    for number in (0, 3, 7):
        del content["annotations"][number]["iscrowd"]
    content["annotations"][4]["iscrowd"] = False
    found = detections(content)
    path = write(tmp_path, content)
    assert stats(index(path), found, "bbox") == stats(stock(repaired), found, "bbox")
    with pytest.raises(KeyError, match="iscrowd"):
        stats(stock(path), found, "bbox")


def test_index_says_nothing_and_keeps_classes(tmp_path, capsys):
    path = write(tmp_path, small())
    coco = index(path, ("bee", "cow", "no such"))
    assert capsys.readouterr().out == ""
    assert [row["name"] for row in coco.loadCats(coco.getCatIds())] == ["bee", "cow"]
    assert {row["category_id"] for row in coco.anns.values()} == {3, 7}
    assert len(coco.imgs) == 6
    with pytest.raises(DataError, match="has none of the categories 'dog'"):
        index(path, ["dog"])


def test_annotation_id_0_scores_wrongly_and_renumbered_rightly(tmp_path):
    """Why it is refused, and that the copy which --renumber writes mends it."""
    content = small()
    perfect = [
        dict(image_id=r["image_id"], category_id=r["category_id"], bbox=r["bbox"], score=0.9)
        for r in content["annotations"]
        if not r["iscrowd"]
    ]
    for number, row in enumerate(content["annotations"]):
        row["id"] = number
    path = write(tmp_path, content)
    assert stats(stock(path), perfect, "bbox")[0] < 0.99
    with pytest.raises(DataError, match="'id' is 0"):
        index(path)
    assert renumber(path, tmp_path / "new.json") == 16
    assert stats(index(tmp_path / "new.json"), perfect, "bbox")[0] == pytest.approx(1)
    new, _ = read_json(tmp_path / "new.json", "annotations")
    assert [row.pop("id") for row in new["annotations"]] == list(range(1, 17))
    for row in content["annotations"]:
        del row["id"]
    assert new == content
    with pytest.raises(DataError, match="there already"):
        renumber(path, tmp_path / "new.json")


@pytest.mark.parametrize("content", [[], {"annotations": None}, {"annotations": [3]}])
def test_what_cannot_be_renumbered(tmp_path, content):
    path = write(tmp_path, content)
    with pytest.raises(DataError, match="has no list of annotations to number"):
        renumber(path, tmp_path / "new.json")
    assert not (tmp_path / "new.json").exists()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("filters", [None, dict(filter_empty_gt=True, min_size=32)])
def test_the_data_set_is_mmdetections_on_a_sound_file(tmp_path, seed, filters):
    path = write(tmp_path, small(seed))
    ours = made(CocoDataset, path, filter_cfg=filters)
    theirs = made(MMDetCocoDataset, path, filter_cfg=filters)
    assert trained(ours) == trained(theirs) and len(ours) > 2
    assert ours.metainfo == theirs.metainfo and ours.cat_img_map == theirs.cat_img_map


def test_the_data_set_reads_what_the_stock_one_does_not(tmp_path):
    """A byte-order mark, no iscrowd, a mask that is none where only boxes train."""
    content = changed("annotations", 0, remove=["iscrowd"])
    path = write(tmp_path, content)
    expected = trained(made(CocoDataset, path))
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert trained(made(CocoDataset, path)) == expected
    with pytest.raises(ValueError, match="BOM"):
        made(MMDetCocoDataset, path)
    content["annotations"][0]["segmentation"] = [1, 2, 3, 4, 5, 6]
    path = write(tmp_path, content)
    boxes = made(CocoDataset, path, pipeline=[LoadAnnotations(with_bbox=True)])
    assert sum(len(boxes.get_data_info(n)["instances"]) for n in range(len(boxes))) == 16
    with pytest.raises(DataError, match="a flat list of numbers"):
        made(CocoDataset, path)


def test_mmdetections_metric_scores_the_index(tmp_path):
    """The names that MMDetection gives pycocotools' functions are there."""
    path = write(tmp_path, small())
    metric = CocoMetric(ann_file=None, metric="bbox")
    metric._coco_api = JudgedCOCO(str(path))
    metric.dataset_meta = dict(classes=CLASSES)
    coco = metric._coco_api
    assert coco.get_cat_ids(cat_names=CLASSES) == [1, 3, 7]
    assert coco.cat_img_map == coco.catToImgs != {}
    assert sorted(coco.get_img_ids()) == sorted(coco.imgs)
    found = coco.get_ann_ids(img_ids=[10])
    assert [row["id"] for row in coco.load_anns(found)] == found != []


@pytest.mark.parametrize("empty", [False, True])
@pytest.mark.parametrize(
    ("min_size", "indices"),
    [*((size, part) for size in (0, 32, 41, 61) for part in (None, 2, -1)), (32, [0, 2])],
)
def test_what_is_kept_is_what_mmdetection_keeps(tmp_path, min_size, empty, indices):
    """MMDetection's own rules, run by MMDetection on a file in which every rule has something."""
    content = small(2, images=9, objects=24)
    for number, fields in enumerate(
        [
            dict(area=0),
            dict(bbox=[5, 5, 0.5, 5]),
            dict(bbox=[5, 5, 0, 5]),
            dict(ignore=True),
            dict(iscrowd=1),
        ]
    ):
        content["annotations"][3 * number].update(fields)
    content["images"][1].update(height=100)
    content["annotations"] = [
        row
        for row in content["annotations"]
        if row["image_id"] != 13 or not isinstance(row["segmentation"], dict)
    ]
    path = write(tmp_path, content)
    classes = CLASSES[:2]
    options = dict(
        filter_cfg=dict(filter_empty_gt=empty, min_size=min_size), metainfo=dict(classes=classes)
    )
    verdict = judge(read_coco(path), masks=True)
    assert verdict.errors == ()
    kept = what_is_kept(verdict.table, Use(classes, options["filter_cfg"], indices))
    dataset = made(MMDetCocoDataset, path, indices=indices, **options)
    ids = [dataset.get_data_info(n)["img_id"] for n in range(len(dataset))]
    assert verdict.table.image_ids[kept.rows].tolist() == ids
    flags = [flag for row in trained(dataset) for flag in row[3]]
    assert kept.objects == flags.count(False)
    assert sum(kept.lost.values()) + kept.objects == len(content["annotations"])


class Use:
    """How a data set uses a file."""

    test_mode = False

    def __init__(self, classes, filter_cfg, indices, polygons_only=False):
        self.classes, self.filter_cfg, self.indices = classes, filter_cfg, indices
        self.polygons_only = polygons_only


@pytest.mark.parametrize("polygons_only", [False, True])
def test_rle_is_not_trained_as_polygons(tmp_path, polygons_only):
    """MMDetection ignores it without a word."""
    path = write(tmp_path, small())
    table = judge(read_coco(path), masks=True).table
    kept = what_is_kept(table, Use(CLASSES, {}, None, polygons_only))
    rows = trained(made(MMDetCocoDataset, path), poly2mask=not polygons_only)
    assert kept.objects == [flag for row in rows for flag in row[3]].count(False)
    assert kept.objects == (8 if polygons_only else 14)


def test_stock_types_are_replaced_and_others_left():
    class Own(MMDetCocoDataset):
        pass

    def data(kind):
        return dict(type=kind, ann_file="a.json")

    cfg = dict(
        train_dataloader=dict(
            dataset=dict(
                type="MultiImageMixDataset",
                dataset=dict(
                    type="ConcatDataset",
                    datasets=[
                        dict(type="RepeatDataset", dataset=data("CocoDataset"), times=2),
                        data("mmdet.CocoDataset"),
                        data(MMDetCocoDataset),
                        data("Own"),
                        data(Own),
                        data("mmrbdc.CocoDataset"),
                    ],
                ),
            )
        ),
        val_dataloader=dict(dataset=data("CocoDataset")),
        test_dataloader=None,
    )
    where = "train_dataloader.dataset.dataset.datasets"
    assert judged_datasets(cfg) == [
        f"{where}.0.dataset",
        f"{where}.1",
        f"{where}.2",
        "val_dataloader.dataset",
    ]
    kinds = [part["type"] for part in cfg["train_dataloader"]["dataset"]["dataset"]["datasets"]]
    assert kinds[1:] == ["mmrbdc.CocoDataset"] * 2 + ["Own", Own, "mmrbdc.CocoDataset"]
    assert judged_datasets(cfg) == []


def test_polygons_reach_pycocotools_as_they_are(tmp_path):
    path = write(tmp_path, small())
    ours, theirs = index(path, masks=True), stock(path)
    for id_ in theirs.anns:
        mask = ours.annToMask(ours.anns[id_])
        assert mask.shape == (HEIGHT, WIDTH)
        assert np.array_equal(mask, theirs.annToMask(theirs.anns[id_]))
