"""A detector's config over small files, and what is refused of it."""

import pytest
from mmengine.config import Config

from mmrbdc.datasets.check import check_config_data
from mmrbdc.datasets.errors import DataError
from tests.datasets.coco.small_coco import CLASSES

LOAD = dict(type="LoadAnnotations", with_bbox=True, with_mask=True)


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
