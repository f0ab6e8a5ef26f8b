"""The scenes: annotations say exactly what is to be seen, and COCO's own tools agree."""

import json

import numpy as np
import pytest
from mmengine.registry import DefaultScope
from PIL import Image
from pycocotools import mask as mask_utils
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mmrbdc.datasets.errors import DataError
from mmrbdc.datasets.made.digits import CLASSES, load_table, split_digits
from mmrbdc.datasets.made.scenes import (
    DIGITS_PER_SCENE,
    MIN_VISIBLE,
    SCENE_SIZE,
    draw_scene,
    make_scenes,
)

SPLITS = ("train", "val", "test")


def read(root, split):
    """The annotation file of a split."""
    return json.loads((root / "annotations" / f"instances_{split}.json").read_text())


def masks_of(content):
    """Masks by annotation id."""
    return {a["id"]: mask_utils.decode(a["segmentation"]) for a in content["annotations"]}


@pytest.mark.parametrize("split", SPLITS)
def test_boxes_and_areas_are_those_of_the_masks(scenes, split):
    content = read(scenes, split)
    masks = masks_of(content)
    assert [c["name"] for c in content["categories"]] == list(CLASSES)
    for annotation in content["annotations"]:
        mask = masks[annotation["id"]]
        assert mask.shape == (SCENE_SIZE, SCENE_SIZE)
        assert annotation["area"] == mask.sum() > 0
        assert annotation["bbox"] == mask_utils.toBbox(annotation["segmentation"]).tolist()
        assert annotation["iscrowd"] == 0


@pytest.mark.parametrize("split", SPLITS)
def test_no_pixel_belongs_to_two_digits_of_a_scene(scenes, split):
    content = read(scenes, split)
    masks = masks_of(content)
    for image in content["images"]:
        with Image.open(scenes / split / image["file_name"]) as picture:
            assert picture.size == (image["width"], image["height"])
            assert picture.mode == "RGB"
        ids = [a["id"] for a in content["annotations"] if a["image_id"] == image["id"]]
        assert 2 <= len(ids) <= DIGITS_PER_SCENE[1]
        assert sum(masks[i].astype(int) for i in ids).max() == 1


def test_digits_of_the_splits_are_disjoint_and_have_their_class(scenes):
    _, classes = load_table()
    pools = {split: set(indices.tolist()) for split, indices in split_digits().items()}
    for split in SPLITS:
        for annotation in read(scenes, split)["annotations"]:
            assert annotation["digit"] in pools[split]
            assert annotation["category_id"] == classes[annotation["digit"]] + 1


def test_what_is_annotated_is_what_is_seen():
    """Ink is lighter than any ground, so the masks can be checked against the pictures."""
    pool = split_digits()["train"]
    overlaps = 0
    for seed in range(20):
        picture, placed = draw_scene(np.random.default_rng(seed), pool)
        everything = np.any([digit.mask for digit in placed], axis=0)
        darkest = picture.min(axis=-1)
        assert np.median(darkest[everything]) > 0.6 * 255
        assert np.percentile(darkest[~everything], 95) < 0.56 * 255
        for digit in placed:
            assert MIN_VISIBLE * digit.pixels <= digit.mask.sum() <= digit.pixels
            overlaps += digit.mask.sum() < digit.pixels
    assert overlaps > 5, "overlaps are allowed, so some digits are partly hidden"


def test_a_scene_depends_on_its_number_alone(scenes, tmp_path):
    make_scenes(tmp_path / "again", counts={"train": 3, "val": 6, "test": 4})
    for split in SPLITS:
        for path in (tmp_path / "again" / split).iterdir():
            assert path.read_bytes() == (scenes / split / path.name).read_bytes()
    few, many = read(tmp_path / "again", "train"), read(scenes, "train")
    assert few["annotations"] == many["annotations"][: len(few["annotations"])]
    for split in ("val", "test"):
        name = f"annotations/instances_{split}.json"
        assert (tmp_path / "again" / name).read_bytes() == (scenes / name).read_bytes()


def test_another_seed_gives_other_scenes(scenes, tmp_path):
    make_scenes(tmp_path / "other", counts={"train": 1, "val": 1, "test": 1}, seed=1)
    first = "train/000001.png"
    assert (tmp_path / "other" / first).read_bytes() != (scenes / first).read_bytes()


@pytest.mark.parametrize("kind", ["bbox", "segm"])
@pytest.mark.parametrize(("shift", "expected"), [(0, 1.0), (4, None)])
def test_the_annotations_themselves_score_one_and_shifted_ones_do_not(
    scenes, kind, shift, expected
):
    path = scenes / "annotations" / "instances_val.json"
    truth = COCO(str(path))
    masks = masks_of(json.loads(path.read_text()))
    found = []
    for annotation in truth.anns.values():
        moved = np.roll(masks[annotation["id"]], shift, axis=1)
        x, y, width, height = annotation["bbox"]
        box = {"bbox": [x + shift, y, width, height]}
        segment = {"segmentation": mask_utils.encode(np.asfortranarray(moved))}
        result = {k: annotation[k] for k in ("image_id", "category_id")}
        found.append({**result, **(box if kind == "bbox" else segment), "score": 0.9})
    evaluation = COCOeval(truth, truth.loadRes(found), kind)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    if expected is None:
        assert evaluation.stats[0] < 0.5
    else:
        assert evaluation.stats[0] == pytest.approx(expected, abs=1e-6)


def test_mmdet_reads_boxes_labels_and_masks(scenes):
    from mmdet.datasets import CocoDataset

    with DefaultScope.overwrite_default_scope("mmdet"):
        dataset = CocoDataset(
            data_root=str(scenes),
            ann_file="annotations/instances_train.json",
            data_prefix={"img": "train/"},
            metainfo={"classes": CLASSES},
            pipeline=[
                {"type": "LoadImageFromFile"},
                {"type": "LoadAnnotations", "with_bbox": True, "with_mask": True},
            ],
        )
        content = read(scenes, "train")
        masks = masks_of(content)
        for number, image in enumerate(content["images"]):
            sample = dataset[number]
            own = [a for a in content["annotations"] if a["image_id"] == image["id"]]
            assert sample["img"].shape == (SCENE_SIZE, SCENE_SIZE, 3)
            assert sample["gt_bboxes_labels"].tolist() == [a["category_id"] - 1 for a in own]
            assert np.array_equal(sample["gt_masks"].masks, [masks[a["id"]] for a in own])
            corners = sample["gt_bboxes"].tensor.numpy()
            assert (corners[:, 2:] - corners[:, :2]).tolist() == [a["bbox"][2:] for a in own]


def test_impossible_counts_are_refused(tmp_path):
    with pytest.raises(DataError, match="split 'val' of 0 is not possible: take at least 1"):
        make_scenes(tmp_path / "scenes", counts={"val": 0})
