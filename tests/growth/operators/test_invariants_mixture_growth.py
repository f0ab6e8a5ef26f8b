"""MixtureGrowth on real networks: what lies in every block of every weight, for every switch.

A weight is cut into its four blocks by hand, each map of a fused axis by itself; templates and
coefficients are read off the members, which are real models that compute with their mixtures.
"""

import copy
from functools import cache

import pytest
import torch
from mmengine.registry import DefaultScope

from mmrbdc.growth import grow
from mmrbdc.models import TemplateClassifier
from tests.growth.invariants import FAMILIES, case, is_map

pytestmark = pytest.mark.numeric

ORTHOGONAL, COPY, ZERO, RANDOM = SWITCHES = (
    "mixture-growth",
    "mixture-growth-copy",
    "mixture-growth-zero",
    "mixture-growth-random",
)
EXACT = 1e-10


def own_of(family):
    return case(family, seeds=(1, 2))


@cache
def members_of(family):
    """Two mixtures in float64, coefficients of many lengths; shared and not to be changed."""
    own = own_of(family)
    config = {key: value for key, value in own.narrow.items() if key != "type"}
    members = []
    with (
        torch.random.fork_rng(devices=[]),
        torch.no_grad(),
        DefaultScope.overwrite_default_scope("mmpretrain"),
    ):
        for seed, parent in enumerate(own.parents):
            torch.manual_seed(seed)
            model = TemplateClassifier(**copy.deepcopy(config)).double()
            model.load_plain_state_dict(parent)
            for number, name in enumerate(mixed(family)):
                mixture_of(model, name).original1.mul_(0.5 + 0.1 * number)
            members.append(model)
    return members


def mixed(family):
    """Weights that have blocks beside the diagonal."""
    layout = own_of(family).layout
    return [name for name in layout.entries if is_map(layout, name)]


def mixture_of(model, name):
    """Templates (original0) and coefficients (original1) of one weight."""
    module, _, leaf = name.rpartition(".")
    return model.get_submodule(module).parametrizations[leaf]


@cache
def child_of(family, switch):
    """Tensors of the child; shared and not to be changed."""
    states = [member.state_dict() for member in members_of(family)]
    draw = torch.Generator().manual_seed(3)
    return grow(states, own_of(family).layout, operator=switch, generator=draw).state_dict


def fused_maps(family, name):
    writes, reads, *_ = own_of(family).layout.entries[name].axes
    assert (writes.mode, reads.mode, reads.fused) == ("writes", "reads", 1)
    return writes.fused


def blocks_of(tensor, maps):
    """(maps, 2, 2, rows, columns, ...): which map, whose rows, whose columns."""
    return tensor.unflatten(0, (maps, 2, -1)).unflatten(3, (2, -1)).movedim(3, 2)


def whole(blocks):
    """The inverse of :func:`blocks_of`."""
    return blocks.movedim(2, 3).flatten(3, 4).flatten(0, 2)


def beside(family, name, child, i):
    """Coefficients of the block in member i's rows by least squares, and what they leave over."""
    maps = fused_maps(family, name)
    block = blocks_of(child[name], maps)[:, i, 1 - i].flatten()
    basis = mixture_of(members_of(family)[i], name).original0.detach().flatten(1).T
    found = torch.linalg.lstsq(basis, block[:, None]).solution[:, 0]
    return found, float((basis @ found - block).norm() / basis.norm())


def assert_in_span(family, child, names=None):
    """What connects two members is a mixture of the templates of whose rows it is in."""
    for name in names or mixed(family):
        for i in range(2):
            _, rest = beside(family, name, child, i)
            assert rest < EXACT, f"'{name}' of member {i}: {rest}"


def changed(family, name, child, edit):
    """A child one of whose weights has edited blocks."""
    blocks = blocks_of(child[name], fused_maps(family, name)).clone()
    edit(blocks)
    return {**child, name: whole(blocks)}


def one_number(blocks):
    blocks[-1, 1, 0, -1, -1] += 1e-3


def exchanged(blocks):
    """From the templates of its columns in place of those of its rows."""
    blocks[:, 0, 1], blocks[:, 1, 0] = blocks[:, 1, 0].clone(), blocks[:, 0, 1].clone()


def noise_as_large(blocks):
    draw = torch.Generator().manual_seed(0)
    noise = torch.randn(blocks[:, 0, 1].shape, generator=draw, dtype=torch.float64)
    blocks[:, 0, 1] = noise * blocks[:, 0, 1].std()


def coefficients_of_its_own_for_a_map(blocks):
    blocks[1, 1, 0] *= 2


@pytest.mark.parametrize("switch", SWITCHES)
@pytest.mark.parametrize("family", FAMILIES)
def test_blocks_beside_the_diagonal_lie_in_the_span_of_their_rows_templates(family, switch):
    child = child_of(family, switch)
    names = mixed(family)
    assert len(names) == {"deit": 8, "resnet": 23}[family]
    assert_in_span(family, child)
    for name in names:
        twins = [one_number] if switch == ZERO else [one_number, exchanged, noise_as_large]
        if fused_maps(family, name) > 1 and switch != ZERO:
            twins.append(coefficients_of_its_own_for_a_map)
        for twin in twins:
            wrong = changed(family, name, child, twin)
            assert wrong[name].shape == child[name].shape
            with pytest.raises(AssertionError, match=f"'{name}'"):
                assert_in_span(family, wrong, [name])


def as_long(found, own):
    return abs(float(found.norm() / own.norm()) - 1) < EXACT


def orthogonal(found, own):
    return abs(float(found @ own)) < EXACT * float(own @ own)


RULES = {
    ORTHOGONAL: lambda found, own: as_long(found, own) and orthogonal(found, own),
    COPY: lambda found, own: 0 < (found - own).norm() < 0.3 * own.norm(),
    ZERO: lambda found, own: not found.count_nonzero(),
    RANDOM: lambda found, own: as_long(found, own) and not orthogonal(found, own),
}
"""Of a block's coefficients and those of the member whose templates it is made of."""


@pytest.mark.parametrize("family", FAMILIES)
def test_each_switch_has_coefficients_by_its_rule_and_the_others_are_twins(family):
    for switch in SWITCHES:
        child = child_of(family, switch)
        pairs = [
            (beside(family, name, child, i)[0], mixture_of(member, name).original1.detach())
            for name in mixed(family)
            for i, member in enumerate(members_of(family))
        ]
        fits = {rule for rule in SWITCHES if all(RULES[rule](*pair) for pair in pairs)}
        assert fits == {switch}


def assert_diagonal(family, child, names=None):
    """Bit by bit what the members compute with."""
    for name in names or mixed(family):
        maps = fused_maps(family, name)
        for i, member in enumerate(members_of(family)):
            module = member.get_submodule(name.removesuffix(".weight"))
            used = module.weight.detach().unflatten(0, (maps, -1))
            found = blocks_of(child[name], maps)[:, i, i]
            equal = torch.equal(found, used)
            assert equal, f"'{name}' of member {i}"


def last_bit(blocks):
    number = blocks[0, 1, 1, 0, 0]
    number.copy_(torch.nextafter(number, torch.full_like(number, torch.inf)))


def members_exchanged(blocks):
    blocks[:, 0, 0], blocks[:, 1, 1] = blocks[:, 1, 1].clone(), blocks[:, 0, 0].clone()


def on_the_other_diagonal(blocks):
    blocks.copy_(blocks.flip(2))


def maps_exchanged(blocks):
    blocks.copy_(blocks.flip(0))


@pytest.mark.parametrize("switch", SWITCHES)
@pytest.mark.parametrize("family", FAMILIES)
def test_blocks_on_the_diagonal_are_what_the_members_compute_with(family, switch):
    child = child_of(family, switch)
    assert_diagonal(family, child)
    for name in mixed(family):
        twins = [last_bit, members_exchanged, on_the_other_diagonal]
        if fused_maps(family, name) > 1:
            twins.append(maps_exchanged)
        for twin in twins:
            with pytest.raises(AssertionError, match=f"'{name}'"):
                assert_diagonal(family, changed(family, name, child, twin), [name])


def test_twin_queries_keys_and_values_of_a_member_kept_together():
    """Rows q k v q k v, where q q k k v v is right: equal shapes, wrong maps."""
    child = child_of("deit", ZERO)
    name = "backbone.layers.1.attn.qkv.weight"
    weights = [m.get_submodule(name.removesuffix(".weight")).weight for m in members_of("deit")]
    wrong = {**child, name: torch.block_diag(*weights).detach()}
    assert wrong[name].shape == child[name].shape
    for check in (assert_diagonal, assert_in_span):
        check("deit", child, [name])
        with pytest.raises(AssertionError, match=f"'{name}'"):
            check("deit", wrong, [name])
