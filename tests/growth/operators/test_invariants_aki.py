"""AKI: new rows are the next block's widened rows, in all tensors, and part what would be copies.

Which old channel a channel copies is read off what reads it: AKI leaves the old rows of a reader
as plain widening makes them, so their columns point where the copied one did.
"""

import re
from functools import cache

import pytest
import torch
from torch.nn import functional

from mmrbdc.families import architecture_from_config
from tests.families.conftest import Zoo
from tests.growth.invariants import (
    FAMILIES,
    STEPS,
    Case,
    along,
    by_channel,
    case,
    gathered,
    gradients,
    widened_by_hand,
)

pytestmark = pytest.mark.numeric

LAST = {"1": 2, "2": 3}
"""Last block of each stage of the ResNet."""

LEAVES = ("weight", "bias", "running_mean", "running_var")
ALIKE = {
    "deit": r"layers\.2\.(heads|hidden)",
    "resnet": r"stem|layer1\.2\.inner[12]|layer2\.3\.inner[12]",
}
"""Spaces in which copies are equal in all that goes in and out."""


@cache
def own_of(family):
    """A ResNet of 3 and 4 bottlenecks, or a DeiT of 3 layers: the middle one has two neighbours."""
    if family == "resnet":
        return case(family)
    arch = dict(embed_dims=32, num_layers=3, num_heads=4, feedforward_channels=64)
    config = Zoo.deit(arch=arch)
    wide = architecture_from_config(config)
    narrow = wide.scaled(1 / 2).classifier_config(config)
    parent = Zoo.build(narrow, 1).double().state_dict()
    return Case(config, narrow, wide.layout(), 2, (parent,))


@pytest.fixture(params=FAMILIES)
def own(request):
    return own_of(request.param)


def next_name(name, step=1):
    """The same tensor one block on (or back), where there is one of its shape: names by hand."""
    if found := re.fullmatch(r"backbone\.layers\.(\d)\.(.*)", name):
        other = int(found[1]) + step
        return f"backbone.layers.{other}.{found[2]}" if 0 <= other <= 2 else None
    found = re.fullmatch(r"backbone\.layer(\d)\.(\d)\.((?:conv|bn)(\d).*)", name)
    if not found:
        return None
    block, other = int(found[2]), int(found[2]) + step
    other_inputs = found[4] == "1" and 0 in (block, other)  # conv1 of a stage reads what is before
    if other_inputs or not 0 <= other <= LAST[found[1]]:
        return None
    return f"backbone.layer{found[1]}.{other}.{found[3]}"


def previous_name(name):
    return next_name(name, -1)


def sources_of(own, child):
    """For every space the old channel that each channel copies, read off its first reader."""
    sizes, sources = own.sizes(), {}
    for name, entry in own.layout.entries.items():
        for dim, axis in enumerate(entry.axes):
            if axis.mode != "reads" or axis.space in sources:
                continue
            ours = child[name]
            for other, writes in enumerate(entry.axes):
                if writes.mode == "writes":
                    old = torch.arange(sizes[writes.space])
                    ours = gathered(ours, other, writes.fused, old)
            columns, olds = (
                functional.normalize(by_channel(tensor, dim, axis.fused), dim=1)
                for tensor in (ours, own.parent[name])
            )
            same = columns @ olds.T > 1 - 1e-12
            assert same.sum(1).eq(1).all(), f"a channel of {axis.space} copies no one channel"
            sources[axis.space] = same.int().argmax(1)
    assert sources.keys() == own.layout.spaces.keys()
    return sources


def rows_replaced(own, widened, donor):
    """A child whose new rows are those of the tensor that ``donor`` names, map by map."""
    child = dict(widened)
    for name, entry in own.layout.entries.items():
        other = donor(name)
        for dim, axis in enumerate(entry.axes):
            if axis.mode == "writes" and other is not None:
                old = own.sizes()[axis.space]
                maps = zip(
                    widened[name].chunk(axis.fused, dim),
                    widened[other].chunk(axis.fused, dim),
                    strict=True,
                )
                halves = [half for a, b in maps for half in (a.narrow(dim, 0, old),
                          b.narrow(dim, old, b.shape[dim] - old))]  # fmt: skip
                child[name] = torch.cat(halves, dim)
    return child


def assert_tensors(child, expected):
    for name, tensor in expected.items():
        torch.testing.assert_close(child[name], tensor, rtol=1e-12, atol=0, msg=f"'{name}'")


def widened_of(own, child):
    """Plain Net2Wider with the maps that a child has."""
    return widened_by_hand(own.parent, own.layout, sources_of(own, child))


def assert_aki(own, child):
    """Old rows are widened own ones, new rows the next block's, or own where it has no such."""
    expected = rows_replaced(own, widened_of(own, child), next_name)
    assert child.keys() == expected.keys()
    assert_tensors(child, expected)


def test_new_rows_are_the_next_blocks_widened_rows_and_no_others(own):
    child = own.grow("aki")
    assert_aki(own, child)
    widened = widened_of(own, child)

    def around(name):  # the last block takes the previous one's rows, the others are right
        return next_name(name) or previous_name(name)

    twins = [rows_replaced(own, widened, donor) for donor in (previous_name, around)]
    for wrong in (widened, *twins):  # the first is Net2Net: the block's own rows
        with pytest.raises(AssertionError):
            assert_aki(own, wrong)


def test_no_tensor_escapes_gains_shifts_means_and_variances_among_them(own):
    """Own rows in a single tensor are a twin, whichever tensor it is."""
    child = own.grow("aki")
    widened = widened_of(own, child)
    expected = rows_replaced(own, widened, next_name)
    names = [n for n, e in own.layout.entries.items() if next_name(n) and e.writes_space]
    leaves = {name.rpartition(".")[2] for name in names}
    assert leaves == set(LEAVES if "backbone.bn1.weight" in child else LEAVES[:2])
    for name in names:
        assert_tensors(child, {name: expected[name]})
        with pytest.raises(AssertionError, match=re.escape(f"'{name}'")):
            assert_tensors({**child, name: widened[name]}, expected)


@pytest.mark.parametrize("leaf", LEAVES[:2])
@pytest.mark.parametrize("block", [0, 1])
def test_new_queries_keys_and_values_stand_behind_the_old_ones_of_their_map(block, leaf):
    own = own_of("deit")
    child = own.grow("aki")
    widened = widened_of(own, child)
    name = f"backbone.layers.{block}.attn.qkv.{leaf}"
    q, k, v = (part[:16] for part in widened[name].chunk(3))
    new_q, new_k, new_v = (part[16:] for part in widened[next_name(name)].chunk(3))
    right = torch.cat([q, new_q, k, new_k, v, new_v])
    assert_tensors(child, {name: right})
    twins = [[q, k, v, new_q, new_k, new_v], [q, new_k, k, new_q, v, new_v]]
    for wrong in map(torch.cat, twins):
        assert wrong.shape == right.shape
        with pytest.raises(AssertionError):
            assert_aki(own, {**child, name: wrong})


def assert_shares(own, child, sources):
    """Over the copies of a channel, columns of new rows sum to those of the next block's row."""
    count = 0
    for name, entry in own.layout.entries.items():
        other = next_name(name)
        if other is None or not entry.reads_space:
            continue
        writes, reads = own.layout.entries[other].axes[:2]
        old = own.sizes()[writes.space]
        chosen = sources[writes.space][old:]
        expected = gathered(own.parent[other], 0, writes.fused, chosen)
        new = gathered(child[name], 0, writes.fused, torch.arange(old, own.ratio * old))
        sums = torch.zeros_like(expected).index_add(1, sources[reads.space], new)
        torch.testing.assert_close(sums, expected, rtol=1e-12, atol=1e-12, msg=f"'{name}'")
        count += 1
    assert count > 3


def test_inputs_of_new_rows_are_shared_among_copies(own):
    child = own.grow("aki")
    sources = sources_of(own, child)
    assert_shares(own, child, sources)
    for factor in (own.ratio, 1.01):  # twins: undivided where c is the ratio; a share too large
        wrong = {
            n: factor * t if next_name(n) and own.layout.entries[n].reads_space else t
            for n, t in child.items()
        }
        with pytest.raises(AssertionError):
            assert_shares(own, wrong, sources)
    drawn = [len(torch.bincount(source).unique()) > 1 for source in sources.values()]
    assert any(drawn)  # else the ratio of widths would serve for the count

    def by_ratio(name):
        source = sources[own.layout.entries[next_name(name)].axes[1].space]
        counts = torch.bincount(source)[source] / own.ratio
        return child[name] * along(counts, 1, child[name])

    readers = [n for n, e in own.layout.entries.items() if next_name(n) and e.reads_space]
    with pytest.raises(AssertionError):  # twin: divided by the ratio of widths
        assert_shares(own, {**child, **{n: by_ratio(n) for n in readers}}, sources)


def assert_new_channels_answer_alike(own, state, modules):
    """On equal inputs the modules' new channels give what the next block's do, if just widened."""
    draw = torch.Generator().manual_seed(0)
    pair = (own.model(state), modules), (own.model(widened_of(own, state)), map(next_of, modules))
    ours, theirs = (
        torch.nn.Sequential(*[model.get_submodule(name) for name in names]) for model, names in pair
    )
    weight = ours[0].weight
    size = (3, weight.shape[1], 5, 5) if weight.ndim == 4 else (3, weight.shape[-1])
    inputs = torch.randn(size, generator=draw, dtype=torch.float64)
    maps = 3 if modules[0].endswith("qkv") else 1
    with torch.no_grad():
        one, other = (m(inputs).unflatten(1, (maps, 2, -1)) for m in (ours, theirs))
    old, new = ((one - other).abs().amax((0, *range(3, one.ndim))) / other.abs().max()).unbind(1)
    assert float(new.max()) < 1e-12, modules
    assert float(old.min()) > 1e-3, modules


def next_of(module):
    return next_name(f"{module}.").removesuffix(".")


CHAINS = [
    *[("deit", [f"backbone.layers.{block}.{part}"])
      for block in (0, 1)
      for part in ("ln1", "attn.qkv", "attn.proj", "ln2", "ffn.layers.0.0", "ffn.layers.1")],
    *[("resnet", [f"backbone.layer{stage}.{block}.{part}{number}" for part in ("conv", "bn")])
      for stage, block in ((1, 0), (1, 1), (2, 2))
      for number in (1, 2, 3)
      if (block, number) != (0, 1)],
]  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_new_channels_answer_as_those_of_the_next_block_norm_included(family):
    own = own_of(family)
    child = own.grow("aki")
    for modules in [modules for kind, modules in CHAINS if kind == family]:
        assert_new_channels_answer_alike(own, child, modules)
    widened = widened_of(own, child)
    for leaf in LEAVES if family == "resnet" else LEAVES[:2]:  # twins: one tensor of the last
        name = f"{modules[-1]}.{leaf}"
        wrong = {**child, name: widened[name]}
        with pytest.raises(AssertionError):
            assert_new_channels_answer_alike(own, wrong, modules)


def differences(own, child, sources, steps):
    """By parameter and the space inside a block, or stem, that it writes: every copy's distance.

    From the gradient of the channel that it copies, over the largest of the tensor.
    """
    found = {}
    for name, gradient in gradients(own, child, steps).items():
        for dim, axis in enumerate(own.layout.entries[name].axes):
            if axis.mode == "writes" and own.layout.spaces[axis.space].kind != "stream":
                source = sources[axis.space]
                first = (source[:, None] == source).int().argmax(1)
                rows = by_channel(gradient, dim, axis.fused)
                copies = first != torch.arange(len(source))
                away = (rows - rows[first])[copies].abs().amax(1) / rows.abs().max()
                found[name, axis.space] = away
    return found


def assert_alike(family, found):
    kept = [float(d.max()) for (_, s), d in found.items() if re.fullmatch(ALIKE[family], s)]
    assert len(kept) > 3 and max(kept) < 1e-8, kept


def assert_parted(found):
    """Every single copy, in every tensor whose new rows are another block's."""
    parted = {name: float(d.min()) for (name, _), d in found.items() if next_name(name)}
    assert len(parted) > 3 and min(parted.values()) > 1e-4, parted


@pytest.mark.parametrize("family", FAMILIES)
def test_copies_part_in_blocks_that_have_a_next_one_and_stay_alike_in_the_last(family):
    own = own_of(family)
    child = own.grow("aki")
    sources = sources_of(own, child)
    at_once, later = (differences(own, child, sources, steps) for steps in (0, STEPS))
    assert_parted(at_once)
    assert_alike(family, at_once)
    assert_alike(family, later)
    equal = widened_by_hand(own.parent, own.layout, sources)
    with pytest.raises(AssertionError):  # twin: the block's own rows in all blocks
        assert_parted(differences(own, equal, sources, 0))
    unequal = own.grow("net2net")
    with pytest.raises(AssertionError):  # twin: copies with shares of their own
        assert_alike(family, differences(own, unequal, sources_of(own, unequal), 0))
