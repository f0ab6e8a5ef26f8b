"""Methods by name: shipped ones, those of users, and operators without a method of their own."""

import pytest

from mmrbdc.growth import OPERATORS, Operator
from mmrbdc.growth.operators import block_diagonal
from mmrbdc.growth.operators.net2net import describe, grow
from mmrbdc.methods import (
    METHODS,
    Method,
    find_method,
    get_method,
    method_names,
    readers,
    register_method,
)
from mmrbdc.plan import PlanError


@pytest.fixture
def registries(monkeypatch):
    monkeypatch.setattr("mmrbdc.methods.registry.METHODS", METHODS_COPY := dict(METHODS))
    monkeypatch.setattr("mmrbdc.methods.readers.METHODS", METHODS_COPY)
    return METHODS_COPY


def test_every_operator_that_is_shipped_is_used_by_a_method():
    """Most by the one of its name; concatenation waits for methods that assemble in depth."""
    own = {"autoprog", "autoprog-manual", "deep-incubation", "progressive", "rbdc", "scratch"}
    assert METHODS.keys() == own | OPERATORS.keys() - {
        "assembly",
        "block-diagonal",
        "concatenation",
        "extraction",
        "incubation",
        "keep",
    }


@pytest.mark.parametrize(
    "name",
    [
        "block-diagonal",
        "concatenation",
        "extraction",
        "incubation",
        "assembly",
        "keep",
        "magic",
        "",
        None,
        ["rbdc"],
        3,
    ],
)
def test_what_is_no_method_is_refused_with_those_there_are(name):
    assert find_method(name) is None
    with pytest.raises(PlanError, match="protocol.method is .*'rbdc'.*'scratch'.*custom_imports"):
        get_method(name)


def test_what_readers_are_told():
    assert [readers.method_label(m) for m in ("rbdc", "scratch")] == ["RBDC", "scratch"]
    ranks = [readers.method_rank(m) for m in ("rbdc", "net2net", "progressive", "scratch")]
    assert ranks == sorted(ranks) and ranks[0] < ranks[1] < ranks[3]
    assert readers.baselines() == ("rbdc", "scratch")
    assert [m for m in METHODS if readers.is_from_scratch(m)] == ["scratch"]
    assert len({readers.method_colour(m) for m in readers.baselines()}) == 2
    assert all(method.about and not method.about.endswith(".") for method in METHODS.values())


def test_a_name_that_only_a_file_knows_is_like_others():
    assert readers.method_label("theirs") == "theirs"
    assert readers.method_rank("theirs") == readers.method_rank("net2net")
    assert readers.method_colour("theirs") is None
    assert not readers.is_from_scratch("theirs")
    assert readers.describe_methods(["theirs"]) == [("theirs", "not described")]


@pytest.mark.parametrize("parents, functions", [("sum", block_diagonal), ("one", None)])
def test_an_operator_of_ones_own_is_the_method_of_its_name(monkeypatch, parents, functions):
    made = (functions.grow, functions.describe) if functions else (grow, describe)
    monkeypatch.setitem(OPERATORS, "mine", Operator("mine", *made, parents=parents))
    module = (
        block_diagonal
        if functions
        else __import__("mmrbdc.growth.operators.net2net", fromlist=["a"])
    )
    about = module.__doc__.splitlines()[0].rstrip(".")
    assert readers.describe_methods(["mine", "rbdc"]) == [
        ("rbdc", METHODS["rbdc"].about),
        ("mine", about),
    ]
    assert "mine" in method_names() and get_method("mine").operator(None, None) == "mine"


def test_a_method_of_ones_own_is_found_and_not_twice(registries):
    register_method(Method("mine", "does nothing", label="Mine"))
    assert find_method("mine").title == "Mine" and registries["mine"].about == "does nothing"
    for name in ("mine", "rbdc", "net2net"):
        with pytest.raises(PlanError, match=f"a method '{name}' already"):
            register_method(Method(name, "another"))
