"""A part of a config: its class, alone or in a list, its keys."""

import pytest
from mmdet.datasets import CocoDataset

from mmrbdc.config_parts import as_list, check_keys, class_name, type_name
from mmrbdc.plan import PlanError


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("widht", "a stage has an unknown key 'widht'; did you mean 'width'?"),
        ("lr", "a stage has an unknown key 'lr'; known: 'members', 'width'"),
        (3, "a stage has an unknown key 3; known: 'members', 'width'"),
    ],
)
def test_keys_that_nobody_reads_are_refused(key, words):
    known = ("members", "width")
    check_keys(known, known, "a stage", PlanError)
    with pytest.raises(PlanError) as raised:
        check_keys(["width", key], known, "a stage", PlanError)
    assert str(raised.value) == words


@pytest.mark.parametrize(
    "kind", ["CocoDataset", "mmdet.CocoDataset", "mmdet.datasets.CocoDataset", CocoDataset]
)
def test_a_type_is_a_name_with_or_without_scope_or_a_class(kind):
    assert class_name(kind) == type_name(dict(type=kind)) == "CocoDataset"


def test_a_part_without_a_type_has_no_name():
    assert type_name({}) == class_name(None) == ""


def test_one_part_or_several_are_a_list():
    one = dict(type="Accuracy")
    assert as_list(one) == as_list([one]) == as_list((one,)) == [one]
    assert as_list(None) == as_list([]) == as_list({}) == []
