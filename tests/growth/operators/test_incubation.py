"""Hybrids and their assembly, against numbers of the released code.

Facts from running ``VisionTransformer._register_modules``, ``module_incubation`` and
``model_assemb`` of github.com/LeapLabTHU/Deep-Incubation at 9a7061b on a net of width 8: which meta
block stands at a place of the hybrid (``None``: the module's own), and which block of which hybrid
becomes a block of the target.
"""

import pytest
import torch

from mmrbdc.growth import GrowthError, grow
from mmrbdc.growth.operators.blocks.incubation import module_blocks
from tests.growth.operators.test_concatenation import build, one_after_the_other

pytestmark = pytest.mark.numeric

META_BLOCK_OF = {  # of 12 blocks in 4 modules
    0: [None, None, None, 1, 2, 3],
    1: [0, None, None, None, 2, 3],
    2: [0, 1, None, None, None, 3],
    3: [0, 1, 2, None, None, None],
}
ASSEMBLY = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (1, 3), (2, 2), (2, 3), (2, 4), (3, 3), (3, 4),
            (3, 5)]  # fmt: skip
IMAGES = torch.rand(4, 3, 16, 16, dtype=torch.float64)


class Fresh:
    """Gives the tensors of a model of its own."""

    def __init__(self, layers, seed):
        self.model, _ = build(layers, seed)

    def initial(self):
        return self.model.state_dict()


@pytest.fixture(scope="module")
def meta():
    return build(4, 1)[0].state_dict()


def hybrid(meta, module, fresh=None, modules=4, layers=6):
    fresh = fresh or Fresh(layers, 10 + module)
    options = dict(module=module, modules=modules)
    layout = build(layers, 0)[1]
    return grow([meta], layout, operator="incubation", context=fresh, options=options), fresh


def block(state, number):
    prefix = f"backbone.layers.{number}."
    return {name.removeprefix(prefix): t for name, t in state.items() if name.startswith(prefix)}


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("module", META_BLOCK_OF)
def test_a_hybrid_is_the_meta_model_around_a_fresh_module(meta, module):
    grown, fresh = hybrid(meta, module)
    state, new = grown.state_dict, fresh.initial()
    for place, source in enumerate(META_BLOCK_OF[module]):
        expected = block(new, place) if source is None else block(meta, source)
        assert equal(block(state, place), expected)
    front = dict.fromkeys(("pos_embed", "cls_token", "patch_embed.projection.bias"), module == 0)
    for name, is_fresh in {**front, "ln1.weight": module == 3}.items():
        name = f"backbone.{name}"
        assert torch.equal(state[name], (new if is_fresh else meta)[name])
    head = "head.layers.head.weight"
    assert torch.equal(state[head], (new if module == 3 else meta)[head])
    rules = {t.name: t.rule for t in grown.report.tensors}
    assert rules[head] == ("drawn anew" if module == 3 else "copied")


@pytest.mark.parametrize("module", range(4))
def test_a_hybrid_whose_module_is_the_meta_block_is_the_meta_model(meta, module):
    """With one block per module; the twin has its module somewhere else."""
    model, layout = build(4, 0)
    inside = Fresh(4, 2)
    inside.model.load_state_dict(meta)
    options = dict(module=module, modules=4)
    grown = grow([meta], layout, operator="incubation", context=inside, options=options)
    model.load_state_dict(grown.state_dict)
    whole = build(4, 1)[0]
    with torch.no_grad():
        assert torch.equal(model(IMAGES), whole(IMAGES))
        other = hybrid(meta, module, Fresh(4, 3), layers=4)[0].state_dict
        model.load_state_dict(other)
        assert not torch.allclose(model(IMAGES), whole(IMAGES), rtol=1e-3)


def test_the_assembled_model_is_the_disjoint_union_of_the_modules(meta):
    hybrids = [hybrid(meta, i)[0].state_dict for i in range(4)]
    grown = grow(hybrids, build(12, 0)[1], operator="assembly")
    for target, (module, place) in enumerate(ASSEMBLY):
        assert equal(block(grown.state_dict, target), block(hybrids[module], place))
    used = {(b.parent, t.name) for t in grown.report.tensors for b in t.blocks if t.block is None}
    assert {parent for parent, name in used if name.startswith("head")} == {3}
    assert {parent for parent, name in used if "embed" in name or "token" in name} == {0}


def test_its_logits_are_those_of_the_modules_behind_each_other():
    meta = build(2, 1)[0].state_dict()
    hybrids = [hybrid(meta, i, modules=2, layers=3)[0].state_dict for i in range(2)]
    model, layout = build(4, 0)
    model.load_state_dict(grow(hybrids, layout, operator="assembly").state_dict)
    front, back = build(3, 0)[0], build(3, 0)[0]
    front.load_state_dict(hybrids[0])
    back.load_state_dict(hybrids[1])
    front.backbone.layers = front.backbone.layers[:2]
    back.backbone.layers = back.backbone.layers[1:]
    with torch.no_grad():
        expected = one_after_the_other(front, back, IMAGES)
        assert torch.allclose(model(IMAGES), expected, rtol=1e-10, atol=1e-12)
        back.backbone.layers = back.backbone.layers[:1]
        assert not torch.allclose(
            model(IMAGES), one_after_the_other(front, back, IMAGES), rtol=1e-3
        )


@pytest.mark.parametrize(
    "count, layers, words",
    [
        (3, 9, r"each needs 3 of its own and 2 of the other modules"),
        (3, 12, "one is missing, or they are not in the order of their modules"),
        (4, 13, "no whole number of blocks per module"),
        (1, 12, "got 1 parent; it takes one hybrid per module"),
    ],
)
def test_what_cannot_be_assembled(meta, count, layers, words):
    hybrids = [hybrid(meta, i)[0].state_dict for i in range(count)]
    with pytest.raises(GrowthError, match=words):
        grow(hybrids, build(layers, 0)[1], operator="assembly")


def test_modules_of_different_meta_models_or_out_of_order(meta):
    other = build(4, 5)[0].state_dict()
    hybrids = [hybrid(meta, i)[0].state_dict for i in range(4)]
    layout = build(12, 0)[1]
    mixed = [*hybrids[:2], hybrid(other, 2)[0].state_dict, hybrids[3]]
    for parents in (mixed, [hybrids[i] for i in (0, 2, 1, 3)], [*hybrids[:3], hybrids[2]]):
        with pytest.raises(GrowthError, match="of two protocols|same weights"):
            grow(parents, layout, operator="assembly")


@pytest.mark.parametrize(
    "options, words",
    [
        (dict(module=4, modules=4), "no module 4 of 4"),
        (dict(module=0, modules=3), "the meta model has 4 blocks for 3 modules"),
        (dict(module=0, modules=7), "a hybrid of 6 blocks has no module 0 of 7"),
        (dict(module=0), "takes module, modules, got module"),
        ({}, "got none; a protocol's method gives them"),
    ],
)
def test_a_module_that_there_is_not(meta, options, words):
    with pytest.raises(GrowthError, match=words):
        grow([meta], build(6, 0)[1], operator="incubation", context=Fresh(6, 1), options=options)


def test_a_hybrids_depth():
    assert [[*module_blocks(6, i, 4)] for i in range(4)] == [
        [0, 1, 2],
        [1, 2, 3],
        [2, 3, 4],
        [3, 4, 5],
    ]
