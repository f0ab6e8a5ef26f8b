"""Data sets that number the same classes differently: refused by the check and by the start."""

import itertools
import json

import pytest
from PIL import Image

from mmrbdc.datasets.check import check_config_data
from mmrbdc.datasets.errors import DataError
from mmrbdc.datasets.numbering import FILE_ORDER, SORTED, numbering_problem
from mmrbdc.datasets.reports.inspect_coco import inspect_config

NAMES = ("ant", "bee", "cow")


def coco_set(root, name, classes):
    """A set of one picture; its file and its config have the classes in this order."""
    (root / name).mkdir()
    shade = 10 + 7 * len(list(root.iterdir()))
    Image.new("RGB", (40, 30), (shade, shade, shade)).save(root / name / "0.png")
    box = dict(bbox=[5, 5, 10, 8], area=80, iscrowd=0, segmentation=[[5, 5, 15, 5, 15, 13]])
    content = dict(
        images=[dict(id=1, file_name="0.png", width=40, height=30)],
        annotations=[dict(id=1, image_id=1, category_id=1, **box)],
        categories=[dict(id=number, name=n) for number, n in enumerate(classes, start=1)],
    )
    (root / f"{name}.json").write_text(json.dumps(content))
    return dict(
        type="CocoDataset",
        data_root=str(root),
        ann_file=f"{name}.json",
        data_prefix=dict(img=f"{name}/"),
        metainfo=dict(classes=classes),
        pipeline=[],
    )


def config(root, *orders, joined=()):
    """Loaders of one set each, of which the train loader joins those at ``joined`` to its own."""
    names = ("train", "val", "test")
    cfg = {
        f"{name}_dataloader": {"dataset": coco_set(root, name, classes)}
        for name, classes in zip(names, orders, strict=False)
    }
    if joined:
        parts = [coco_set(root, f"more{n}", classes) for n, classes in enumerate(joined)]
        inner = dict(type="RepeatDataset", times=2, dataset=parts[-1])
        sets = [cfg["train_dataloader"]["dataset"], *parts[:-1], inner]
        cfg["train_dataloader"]["dataset"] = dict(type="ConcatDataset", datasets=sets)
    return cfg


def both(cfg):
    """What the start of a run says, which the check must say as well."""
    with pytest.raises(DataError) as raised:
        check_config_data(cfg)
    _, errors, _ = inspect_config(cfg)
    assert str(raised.value) in errors
    return str(raised.value)


ORDERS = [order for order in itertools.permutations(NAMES) if order != NAMES]


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("order", ORDERS[::2])
def test_a_loader_of_another_order(tmp_path, place, order):
    orders = [NAMES] * 3
    orders[place] = order
    message = both(config(tmp_path, *orders))
    number = next(n for n in range(3) if order[n] != NAMES[n])
    assert "have their classes in another order" in message and "folder" not in message
    assert f"number {number} would be" in message and FILE_ORDER in message
    assert "train_dataloader.dataset and " in message


@pytest.mark.parametrize("joined", [ORDERS[:1], [NAMES, ORDERS[3]]])
def test_a_part_of_one_loader_of_another_order(tmp_path, joined):
    message = both(config(tmp_path, NAMES, joined=joined))
    last = f"train_dataloader.dataset.datasets.{len(joined)}.dataset"
    assert message.startswith(f"train_dataloader.dataset.datasets.0 and {last} have their classes")


@pytest.mark.parametrize("order", [NAMES, ORDERS[-1]])
def test_one_order_everywhere_passes(tmp_path, order):
    cfg = config(tmp_path, order, order, order, joined=[order, order])
    check_config_data(cfg)
    assert inspect_config(cfg)[1:] == ([], [])


def test_other_names_are_told_with_the_nearest(tmp_path):
    message = both(config(tmp_path, NAMES, ("ant", "Bee", "cow")))
    assert "only in val_dataloader.dataset: 'Bee' (nearest: 'bee')" in message


@pytest.mark.parametrize("rule", [SORTED, FILE_ORDER])
def test_the_same_numbers_are_no_problem(rule):
    assert numbering_problem("a", NAMES, "b", list(NAMES), rule) is None
    assert rule in numbering_problem("a", NAMES, "b", NAMES[:2], rule)
