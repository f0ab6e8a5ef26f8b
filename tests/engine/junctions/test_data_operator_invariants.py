"""GradMax and Firefly on real networks: what is exact and why, what scores mean, what splits are.

GradMax's new neurons are silent on one side; every number of that side that is not zero is a twin.
Firefly's parts are put together here one by one, where a whole growth would hide which one does it.
"""

import math
from dataclasses import replace
from fractions import Fraction

import pytest
import torch

from mmrbdc.growth.maps import inner
from mmrbdc.growth.operators import firefly
from tests.engine.data_operator_case import HALF, KINDS, Case, new_parts, part, with_two_stages

pytestmark = pytest.mark.numeric

EXACT = 1e-10
NONE = torch.arange(0)


@pytest.fixture(scope="module")
def cases(images):
    """Parents by kind and share of the inner width; shared and not to be changed."""
    made = {}

    def case(kind, share=HALF):
        key = kind, share
        if key not in made:
            made[key] = Case(images, kind, share, config=with_two_stages(images, kind))
        return made[key]

    return case


@pytest.fixture(params=KINDS)
def case(request, cases):
    return cases(request.param)


def assert_same_function(case, child):
    """The parent's logits; in training, where a norm wakes what was never active, its loss."""
    assert case.error(child) < EXACT
    batch = case.batch(20)
    parents, ours = (
        float(case.context.loss(state, batch, training=True)) for state in (case.parent, child)
    )
    assert abs(ours - parents) < EXACT, "in training"


def assert_another_function(case, child, name):
    with pytest.raises(AssertionError):
        assert_same_function(case, child)
        pytest.fail(f"'{name}' does not matter")


def test_gradmax_is_exact_because_one_side_of_new_neurons_is_silent(case):
    """Incoming weights and biases of a DeiT, outgoing weights of a ResNet; the other is not."""
    child = case.grow("gradmax")
    assert_same_function(case, child)
    incoming, outgoing = new_parts(case)
    silent, loud = (incoming, outgoing) if case.kind == "deit" else (outgoing, incoming)
    assert all(part(child[name], cuts).count_nonzero() == 0 for name, cuts in silent.items())
    assert all(part(child[name], cuts).abs().min() > 0 for name, cuts in loud.items())
    assert len(silent) == {"deit": 4, "resnet": 14}[case.kind]
    draw = torch.Generator().manual_seed(4)
    for name, cuts in silent.items():  # twins: a single tensor is not silent
        tensor = child[name].clone()
        part(tensor, cuts).normal_(0, 0.1, generator=draw)
        assert_another_function(case, {**child, name: tensor}, name)


def drawn(case, split=1.0, outgoing=1.0):
    """Directions as Firefly starts them, v and outgoing weights scaled."""
    draw = torch.Generator().manual_seed(1)
    found = firefly.draw_directions(case.parent, case.layout, case.spaces, draw)
    with torch.no_grad():
        for group, factor in ((found.split, split), (found.outgoing, outgoing)):
            for tensor in group.values():
                tensor.mul_(factor)
    return found


def chosen(case, kind):
    """As many candidates as the child has room for: splits, new neurons, or half of each."""
    choices = {}
    for space, (old, new) in case.spaces.items():
        count = {"splits": old, "new": 0, "both": old // 2}[kind]
        split = torch.arange(0, old, old // count)[:count] if count else NONE
        choices[space] = firefly.Choice(split, torch.arange(new - old - count))
    return choices


def assembled(case, directions, choices):
    with torch.no_grad():
        return firefly.assembled(case.parent, case.layout, case.spaces, directions, choices)


@pytest.mark.parametrize("kind", ["splits", "new", "both"])
def test_firefly_has_its_parents_logits_while_v_and_outgoing_weights_are_zero(case, kind):
    choices = chosen(case, kind)
    silent = drawn(case, split=0, outgoing=0)
    child = assembled(case, silent, choices)
    assert_same_function(case, child)
    assert all(tensor.abs().min() > 0 for tensor in silent.incoming.values())
    draw = torch.Generator().manual_seed(4)
    moved = [silent.split] if kind != "new" else []
    moved += [silent.outgoing] if kind != "splits" else []
    for group in moved:
        for name, tensor in group.items():  # twins: one direction of one weight is not zero
            with torch.no_grad():
                tensor.normal_(generator=draw)
                wrong = assembled(case, silent, choices)
                tensor.zero_()
            assert_another_function(case, wrong, name)
    if kind != "new":
        for name in case.parent:  # twins: outgoing weights of the halves as they were
            if wrong := undivided(case, child, name, choices):
                assert_another_function(case, {**child, **wrong}, name)


def undivided(case, child, name, choices):
    """A reader whose columns of split neurons are not halved, if it is one."""
    columns = inner.reads(case.layout.entries[name], case.spaces)
    if not columns:
        return None
    dim, space = columns
    old, split = case.spaces[space][0], choices[space].split
    tensor = child[name].clone()
    tensor.movedim(dim, 0)[torch.cat([split, old + torch.arange(len(split))])] *= 2
    return {name: tensor}


def loss(case, directions, choices):
    batch = case.batch(20)
    tensors = firefly.assembled(case.parent, case.layout, case.spaces, directions, choices)
    return case.context.loss(tensors, batch)


def gradients_of(case, directions):
    """With all candidates attached."""
    everything = {
        space: firefly.Choice(torch.arange(old), torch.arange(firefly.new_candidates((old, new))))
        for space, (old, new) in case.spaces.items()
    }
    return torch.autograd.grad(loss(case, directions, everything), directions.all())


def scores_of(case, directions, gradients):
    """(split, new) by space: the gradient of a gate on each candidate, by hand."""
    found = directions.with_values(gradients)
    result = {space: [0, 0] for space in case.spaces}
    kinds = (directions.split, found.split, inner.writes), (
        directions.outgoing, found.outgoing, inner.reads)  # fmt: skip
    for which, (values, slopes, place) in enumerate(kinds):
        for name, value in values.items():
            dim, space = place(case.layout.entries[name], case.spaces)
            product = (value.detach() * slopes[name]).movedim(dim, 0).flatten(1).sum(1)
            result[space][which] = result[space][which] + product
    return result


def best_and_worst(case, directions, gradients):
    return [
        firefly.choose(case.layout, case.spaces, directions, [sign * g for g in gradients])
        for sign in (1, -1)
    ]


def summed(scores, choices):
    """Of the kept candidates: (splits, new neurons)."""
    splits = sum(float(scores[space][0][c.split].sum()) for space, c in choices.items())
    return splits, sum(float(scores[space][1][c.new].sum()) for space, c in choices.items())


def change_of_loss(case, directions, choices):
    nothing = dict.fromkeys(case.spaces, firefly.Choice(NONE, NONE))
    with torch.no_grad():
        return float(loss(case, directions, choices) - loss(case, directions, nothing))


@pytest.mark.parametrize(
    ("kind", "split", "outgoing"),
    [("deit", 0, 1e-2), ("deit", 0.1, 0), ("deit", 0.3, 3e-4), ("resnet", 0, 1e-2)],
)
def test_kept_scores_are_the_change_of_the_loss_for_small_steps(cases, kind, split, outgoing):
    """Half of it for splits: there is no first order, and a gate's gradient doubles the second."""
    case = cases(kind)
    directions = drawn(case, split, outgoing)
    gradients = gradients_of(case, directions)
    scores = scores_of(case, directions, gradients)
    best, worst = best_and_worst(case, directions, gradients)
    (splits, new), change = summed(scores, best), change_of_loss(case, directions, best)
    assert (splits < 0) == (split > 0) and (new < 0) == (outgoing > 0)
    assert change == pytest.approx(splits / 2 + new, rel=0.05)
    if abs(splits) > abs(new):  # twin: splits count in full
        assert change != pytest.approx(splits + new, rel=0.2)
    opposite = change_of_loss(case, directions, worst)  # twin: other candidates are kept
    assert opposite != pytest.approx(splits / 2 + new, rel=0.5)
    assert change < 0 and change < opposite


def test_splits_that_reach_no_kink_of_a_relu_neither_change_nor_score(cases):
    """Between kinks both halves are linear and their sum is the old neuron's; GELU is curved."""
    found = {}
    for kind, reach in [("resnet", 1e-5), ("resnet", 1.0), ("deit", 1e-2)]:
        case = cases(kind)
        directions = drawn(case, split=reach, outgoing=0)
        scores = scores_of(case, directions, gradients_of(case, directions))
        largest = max(float(split.abs().max()) for split, _ in scores.values())
        found[kind, reach] = largest, abs(change_of_loss(case, directions, chosen(case, "splits")))
    assert max(found.pop(("resnet", 1e-5))) < 1e-13
    assert min(map(min, found.values())) > 1e-8  # twins


def test_what_firefly_keeps_in_a_resnet_ends_at_a_lower_loss_than_the_worst(images, monkeypatch):
    """After a whole growth; the worst are the candidates of the highest scores.

    In four stages: its steps are not small, and among the few candidates for 2 or 4 channels
    scores at full length do not tell.
    """
    case = Case(images, "resnet")
    right = firefly.choose

    def highest(layout, spaces, directions, gradients):
        return right(layout, spaces, directions, [-g for g in gradients])

    losses = []
    for rule in (right, highest):
        monkeypatch.setattr(firefly, "choose", rule)
        state = case.grow("firefly")
        losses.append(float(case.context.loss(state, case.batch(case.context.samples))))
    assert losses[0] < losses[1] - 0.01


def assert_kept(case, share, scores, choices):
    """In every space as many as it grows by, each once, and none left out scores lower."""
    for space, (old, _) in case.spaces.items():
        split, new = choices[space].split.tolist(), choices[space].new.tolist()
        assert len(split) + len(new) == math.floor((1 / share - 1) * old), space
        assert len({*split}) == len(split) and len({*new}) == len(new), space
        own = torch.cat(scores[space])
        kept = torch.zeros(len(own), dtype=torch.bool)
        kept[[*split, *(old + number for number in new)]] = True
        assert own[kept].max() <= own[~kept].min(), space


def ranked_together(case, scores, total):
    """The paper's rule: candidates of all spaces in one list."""
    lists = torch.cat([torch.cat(scores[space]) for space in case.spaces])
    kept = torch.zeros(len(lists), dtype=torch.bool)
    kept[lists.argsort()[:total]] = True
    sizes = [sum(map(len, scores[space])) for space in case.spaces]
    choices = {}
    for (space, (old, _)), own in zip(case.spaces.items(), kept.split(sizes), strict=True):
        choices[space] = firefly.Choice(own[:old].nonzero()[:, 0], own[old:].nonzero()[:, 0])
    return choices


def with_one(choice, less):
    """A choice with one candidate less, or one more that was left out."""
    kind = "split" if len(choice.split) else "new"
    kept = getattr(choice, kind)
    free = min({*range(len(kept) + 1)} - {*kept.tolist()})
    changed = kept[1:] if less else torch.cat([kept, torch.tensor([free])])
    return replace(choice, **{kind: changed})


@pytest.mark.parametrize(
    ("kind", "share"), [("deit", HALF), ("deit", Fraction(3, 4)), ("resnet", HALF)]
)
def test_every_space_grows_by_its_number_and_keeps_its_own_best(cases, kind, share):
    case = cases(kind, share)
    directions = drawn(case)
    gradients = gradients_of(case, directions)
    scores = scores_of(case, directions, gradients)
    choices, worst = best_and_worst(case, directions, gradients)
    assert_kept(case, share, scores, choices)
    state = assembled(case, directions, choices)
    assert case.layout.space_sizes(state, "the child") == case.layout.sizes
    (one, first), *_, (other, last) = choices.items()
    fewer, more = {one: with_one(first, less=True)}, {other: with_one(last, less=False)}
    twins = [worst, *({**choices, **wrong} for wrong in (fewer, more, {**fewer, **more}))]
    if kind == "resnet":
        total = sum(len(c.split) + len(c.new) for c in choices.values())
        twins.append(ranked_together(case, scores, total))
        assert sum(len(c.split) + len(c.new) for c in twins[-1].values()) == total
    for twin in twins:
        with pytest.raises(AssertionError):
            assert_kept(case, share, scores, twin)


def merged(case, state, choices, rows="mean"):
    """Halves put together: their outgoing weights summed, of what makes them the mean or one."""
    result = {}
    for name, tensor in state.items():
        for dim, axis in enumerate(case.layout.entries[name].axes):
            if axis.space not in case.spaces:
                continue
            old, split = case.spaces[axis.space][0], choices[axis.space].split
            first = tensor.narrow(dim, 0, old).clone()
            second = tensor.narrow(dim, old, len(split))
            ours = first.movedim(dim, 0)  # a view
            if axis.mode == "reads":
                ours[split] += second.movedim(dim, 0)
            elif rows == "mean":
                ours[split] = (ours[split] + second.movedim(dim, 0)) / 2
            elif rows == "second":
                ours[split] = second.movedim(dim, 0)
            tensor = first
        result[name] = tensor
    return result


def assert_parent(case, state):
    for name, tensor in state.items():
        old = case.parent[name]
        torch.testing.assert_close(tensor, old, rtol=1e-12, atol=1e-14, msg=f"'{name}'")


@pytest.mark.parametrize("kind", ["splits", "both"])
def test_split_then_merge_returns_the_old_layers(case, kind):
    """By either half at v = 0; else by the mean of the halves, their outgoing weights summed."""
    choices = chosen(case, kind)
    still = assembled(case, drawn(case, split=0), choices)
    moved = assembled(case, drawn(case), choices)
    assert moved.keys() == still.keys() == case.parent.keys()
    for rows in ("first", "second", "mean"):
        assert_parent(case, merged(case, still, choices, rows))
    assert_parent(case, merged(case, moved, choices))
    for rows in ("first", "second"):  # twins: neither half is the old neuron
        with pytest.raises(AssertionError):
            assert_parent(case, merged(case, moved, choices, rows))


def second_half(case, name, state, choices, edit):
    """A tensor that makes neurons with an edited second half, (old rows, second) -> rows."""
    rows = inner.writes(case.layout.entries[name], case.spaces)
    if not rows:
        return None
    dim, space = rows
    old, split = case.spaces[space][0], choices[space].split
    tensor = state[name].clone()
    view = tensor.movedim(dim, 0)
    place = slice(old, old + len(split))
    view[place] = edit(name, view[split].clone(), view[place].clone())
    return {name: tensor}


def test_twins_of_the_merge(case):
    """In any single tensor: fresh or shifted halves, both at w + v, outgoing weights not halved."""
    choices = chosen(case, "splits")
    moved = assembled(case, drawn(case), choices)

    def fresh(name, first, second):
        one = case.layout.entries[name].role == "scale" or name.endswith("running_var")
        return torch.full_like(second, float(one))

    def same_side(name, first, second):
        return first

    def next_ones(name, first, second):
        return second.roll(1, 0)

    twins = []
    for name, entry in case.layout.entries.items():
        edits = [fresh, next_ones, *([same_side] if entry.role == "weight" else [])]
        twins += [(name, second_half(case, name, moved, choices, edit)) for edit in edits]
        twins.append((name, undivided(case, moved, name, choices)))
    twins = [(name, wrong) for name, wrong in twins if wrong]
    assert len(twins) == {"deit": 2 * (2 * 2 + 1 + 1), "resnet": 14 * (5 * 2 + 1 + 1)}[case.kind]
    for name, wrong in twins:
        with pytest.raises(AssertionError, match=f"'{name}'"):
            assert_parent(case, merged(case, wrong, choices))


def test_both_halves_have_the_old_norm_and_new_neurons_a_fresh_one(cases):
    """Gain, shift and running statistics of BatchNorm, with directions that are not zero."""
    case = cases("resnet")
    choices = chosen(case, "both")
    state = assembled(case, drawn(case), choices)
    names = [n for n, e in case.layout.entries.items()
             if e.role != "weight" and inner.writes(e, case.spaces)]  # fmt: skip
    assert len(names) == 14 * 4
    for name in names:
        _, space = inner.writes(case.layout.entries[name], case.spaces)
        old, split, count = case.parent[name], choices[space].split, len(choices[space].new)
        fresh = float(name.endswith("running_var") or case.layout.entries[name].role == "scale")
        expected = torch.cat([old, old[split], torch.full((count,), fresh).to(old)])
        assert torch.equal(state[name], expected), name
        twin = torch.cat([old, torch.full((len(split) + count,), fresh).to(old)])
        assert not torch.equal(state[name], twin), name
