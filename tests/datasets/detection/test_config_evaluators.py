"""What an evaluator scores against must be what its loader reads."""

from mmrbdc.datasets.check import check_config_data
from tests.datasets.coco.small_coco import changed, small, write
from tests.datasets.detection.detector_config import config, refused


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
