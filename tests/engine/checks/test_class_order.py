"""Checkpoints that number classes in another way than the data that they are used on."""

import itertools
import re

import pytest

from mmrbdc.engine.checks.class_order import class_problem, classes_of_meta

NAMES = ("ant", "bee", "cow", "dog")


@pytest.mark.parametrize("order", [o for o in itertools.permutations(NAMES) if o != NAMES][::4])
def test_the_same_names_in_another_order_are_wrong(order):
    wrong, odd = class_problem(order, NAMES)
    name = next(name for here, name in zip(order, NAMES, strict=True) if here != name)
    assert odd is None
    told = f"{name!r} is number {order.index(name)} there and {NAMES.index(name)} in the data"
    assert told in wrong


@pytest.mark.parametrize("theirs", [("elk", "ant", "bee", "cow"), NAMES[::-1][:3], NAMES[1:]])
def test_one_name_under_another_number_is_enough(theirs):
    wrong, _ = class_problem(theirs, NAMES)
    assert "another order" in wrong


@pytest.mark.parametrize(
    ("theirs", "words"),
    [
        (("ant", "bee", "cow", "hound"), "1 of its 4 classes have other names than in the data"),
        (("n01", "n02", "n03", "n04"), "4 of its 4 classes .* number 0 is 'n01' there and 'ant'"),
    ],
)
def test_another_name_under_the_same_number_may_be_right(theirs, words):
    wrong, odd = class_problem(theirs, NAMES)
    assert wrong is None
    assert re.search(words, odd)


@pytest.mark.parametrize("theirs", [NAMES, list(NAMES), NAMES[:3], (*NAMES, "elk")])
def test_the_same_numbers_are_no_problem(theirs):
    """Another number of classes is the heads' own matter."""
    assert class_problem(theirs, NAMES) == (None, None)


@pytest.mark.parametrize(
    ("meta", "classes"),
    [
        ({}, None),
        (dict(dataset_meta=None), None),
        (dict(dataset_meta=dict(palette=[])), None),
        (dict(dataset_meta=dict(classes="names.txt")), None),
        (dict(dataset_meta=dict(classes=["a", "b"])), ("a", "b")),
        (dict(dataset_meta=dict(CLASSES=("a", "b"))), ("a", "b")),
        (dict(CLASSES=["a", "b"]), ("a", "b")),  # MMDetection 2
    ],
)
def test_where_a_checkpoint_names_its_classes(meta, classes):
    assert classes_of_meta(meta) == classes
