"""Which data sets are judged, and by which classes: the config's, or those of the type."""

import pytest
from mmdet.datasets import CocoDataset as MMDetCocoDataset
from mmdet.registry import DATASETS

from mmrbdc.datasets.check import check_config_data
from mmrbdc.datasets.reports.inspect_coco import inspect_config, splits_of_config
from tests.datasets.coco.small_coco import CLASSES, changed, write
from tests.datasets.detection.detector_config import config, refused


def test_classes_in_another_order_than_the_file(place):
    message = refused(config(place, metainfo=dict(classes=("bee", "ant", "cow"))))
    assert "another order" in message and "pictures would bear wrong names" in message
    assert message.endswith("in the file's order: classes = ('ant', 'bee', 'cow')")
    message = refused(config(place, metainfo=dict(classes=["cow", "bee"])))
    assert message.endswith("classes = ('bee', 'cow')")


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
