"""Operators that grow inner widths with images: their invariants on MMPretrain's own networks."""

from fractions import Fraction

import pytest
import torch

from mmrbdc.engine.junctions.grow_files import grow_files, write_grown
from mmrbdc.engine.junctions.growth_context import TrainingContext
from mmrbdc.engine.steps.staged_checks import check_staged
from mmrbdc.families import architecture_from_config
from mmrbdc.growth import GrowthError, get_operator, grow
from mmrbdc.growth.maps import inner
from mmrbdc.growth.operators import firefly, gradmax, gradmax_search
from mmrbdc.methods import parse_protocol
from mmrbdc.plan import PlanError
from mmrbdc.weights import read_checkpoint, save_member
from tests.engine.data_operator_case import (
    HALF,
    KINDS,
    Case,
    config_of,
    with_bottlenecks,
    with_many_hidden_units,
)
from tests.engine.tiny_runs import load_json, staged, train_protocol
from tests.numerics import assert_float32

pytestmark = pytest.mark.numeric


@pytest.fixture(params=KINDS)
def case(request, images):
    return Case(images, request.param)


def test_gradmax_keeps_the_function(case):
    assert case.error(case.grow("gradmax")) < 1e-10


@pytest.mark.parametrize("kind", KINDS)
def test_gradmax_beats_random_directions_of_equal_norm(images, kind):
    """Orthonormal outgoing weights (DeiT), or incoming ones (ResNet), as long, drawn at random.

    Fewer new neurons than the stream has channels: else any orthonormal set is as good.
    """
    case = Case(images, kind, Fraction(3, 4) if kind == "deit" else HALF)
    found = case.grow("gradmax")
    ours = case.gradient_norm(found, training=case.kind != "deit")
    random = dict(found)
    generator = torch.Generator().manual_seed(9)
    for name, entry in case.layout.entries.items():
        place = (inner.reads if case.kind == "deit" else inner.writes)(entry, case.spaces)
        if entry.role == "weight" and place:
            dim, space = place
            old, new = case.spaces[space]
            random[name] = found[name].clone()
            part = random[name].narrow(dim, old, new - old)
            drawn = torch.randn(part.shape, generator=generator).to(part)
            if case.kind == "deit":
                drawn = torch.linalg.qr(drawn).Q
            shape = [-1 if d == dim else 1 for d in range(part.ndim)]
            lengths = inner.channel_norms(part, dim) / inner.channel_norms(drawn, dim)
            read = inner.reads(entry, case.spaces)
            part.copy_(drawn * lengths.reshape(shape))
            if case.kind != "deit" and read:
                (old_rows, _), (start, stop) = case.spaces[space], case.spaces[read[1]]
                silent = random[name].narrow(read[0], start, stop - start)
                silent.narrow(dim, 0, old_rows).zero_()
    assert case.error(random) < 1e-10
    theirs = case.gradient_norm(random, training=case.kind != "deit")
    assert ours > (1.15 if case.kind == "deit" else 1.02) * theirs


def test_gradmax_reaches_its_bound_on_deit(images):
    """|gradient| = f'(0) x length x sqrt(sum of the squares of M's largest singular values).

    M is read off here by one probing neuron at a time, and the twin takes its smallest ones.
    """
    case = Case(images, "deit", Fraction(3, 4))
    state = case.grow("gradmax")
    outer = gradmax._outer(case.layout, case.spaces)
    moments = {space: [] for space in case.spaces}
    for unit in range(max(width for *_, width in outer.values())):
        probing = inner.padded(case.parent, case.layout, case.spaces)
        leaves = {}
        for space, (incoming, outgoing, _) in outer.items():
            probing[outgoing][unit, case.spaces[space][0]] = 1
            leaves[incoming] = probing[incoming].clone().requires_grad_()
        loss = case.context.loss({**probing, **leaves}, case.batch())
        found = torch.autograd.grad(loss, list(leaves.values()))
        for (space, (old, _)), gradient in zip(case.spaces.items(), found, strict=True):
            moments[space].append(gradient[old])
    bound = 0.0
    for space, (_, outgoing, _) in outer.items():
        old, new = case.spaces[space]
        length = gradmax.SCALE * case.parent[outgoing].norm(dim=0).mean()
        vectors, values, _ = torch.linalg.svd(torch.stack(moments[space]))
        assert len(values) > new - old  # else any orthonormal set would do
        bound += float((length * values[: new - old]).square().sum())
        moments[space] = length * vectors[:, old - new :]
    assert case.gradient_norm(state, training=False) == pytest.approx(bound**0.5, rel=1e-6)
    twin = dict(state)
    for space, (_, outgoing, _) in outer.items():
        twin[outgoing] = state[outgoing].clone()
        twin[outgoing][:, case.spaces[space][0] :] = moments[space]
    assert case.gradient_norm(twin, training=False) < 0.9 * bound**0.5


def test_gradmax_takes_every_direction_of_each_sign_once_on_deit(images):
    """But for the shift of all channels, which the LayerNorm behind takes away."""
    case = Case(images, "deit", config=with_many_hidden_units(images))
    state = case.grow("gradmax")
    for space, (old, new) in case.spaces.items():
        _, outgoing, width = gradmax._outer(case.layout, case.spaces)[space]
        rank = width - 1
        assert new - old == 2 * rank + 2
        columns = state[outgoing][:, old:new].double()
        norms = columns.norm(dim=0)
        length = gradmax.SCALE * state[outgoing][:, :old].double().norm(dim=0).mean()
        torch.testing.assert_close(norms, torch.full_like(norms, float(length)))
        unit = columns / length
        eye = torch.eye(rank, dtype=unit.dtype)
        torch.testing.assert_close(unit[:, :rank].T @ unit[:, :rank], eye, atol=1e-9, rtol=0)
        torch.testing.assert_close(unit[:, rank : 2 * rank], -unit[:, :rank])
        assert unit.sum(0).abs().max() < 1e-6
        alike = unit[:, 2 * rank :].T @ unit - torch.eye(new - old)[2 * rank :]
        assert alike.max() < 0.999


def test_every_new_neuron_of_gradmax_gets_a_gradient_on_deit(images):
    """A twin along the shift of all channels gets none, ever."""
    case = Case(images, "deit", config=with_many_hidden_units(images))
    state = case.grow("gradmax")
    outer = gradmax._outer(case.layout, case.spaces)

    def smallest(state):
        names = [incoming for incoming, _, _ in outer.values()]
        leaves = {name: state[name].clone().requires_grad_() for name in names}
        loss = case.context.loss({**state, **leaves}, case.batch())
        found = torch.autograd.grad(loss, list(leaves.values()))
        new = [g[old:] for g, (old, _) in zip(found, case.spaces.values(), strict=True)]
        return min(float(g.norm(dim=1).min() / g.norm(dim=1).max()) for g in new)

    assert smallest(state) > 1e-8
    for _, outgoing, width in outer.values():
        length = state[outgoing][:, -1].norm()
        state[outgoing][:, -1] = length / width**0.5
    assert smallest(state) < 1e-12


@pytest.mark.parametrize("activation", ["GELU", "ReLU"])
def test_gradmax_first_form_is_dead_behind_relu(images, activation):
    """Zero incoming weights, outgoing ones that are not: torch's ReLU has no slope at 0.

    This is why activations other than GELU get the second form.
    """
    case = Case(images, "deit", Fraction(3, 4))
    for model in (case.narrow, case.wide, case.context._classifier):
        for layer in (m for m in model.modules() if isinstance(m, torch.nn.Sequential)):
            for name, module in layer.named_children():
                if isinstance(module, torch.nn.GELU):
                    setattr(layer, name, getattr(torch.nn, activation)())
    state = inner.padded(case.parent, case.layout, case.spaces)
    for space, (_, outgoing, _) in gradmax._outer(case.layout, case.spaces).items():
        state[outgoing][:, case.spaces[space][0] :] = 1 / 16
        state[outgoing][::2, case.spaces[space][0] :] *= -1
    assert case.error(state) < 1e-10
    assert (case.gradient_norm(state, training=False) > 0) == (activation == "GELU")


def test_twin_zero_incoming_weights_behind_relu_are_dead(images):
    """What GradMax's first form would do to a ResNet: no new weight ever gets a gradient."""
    case = Case(images, "resnet")
    state = inner.padded(case.parent, case.layout, case.spaces)
    assert case.error(state) < 1e-10
    assert case.gradient_norm(state, training=False) == 0.0


def test_the_search_raises_the_gradient(images, monkeypatch):
    case = Case(images, "resnet")
    norms = []
    for steps in (0, gradmax_search.STEPS):
        monkeypatch.setattr(gradmax_search, "STEPS", steps)
        norms.append(case.gradient_norm(case.grow("gradmax"), training=True))
    assert norms[1] > 1.02 * norms[0]


def test_firefly_without_directions_keeps_the_function(case):
    directions = firefly.draw_directions(
        case.parent, case.layout, case.spaces, torch.Generator().manual_seed(1)
    )
    choices = {s: firefly._all_candidates(size) for s, size in case.spaces.items()}
    with torch.no_grad():
        for tensor in (*directions.split.values(), *directions.outgoing.values()):
            tensor.zero_()
        silent = firefly.assembled(case.parent, case.layout, case.spaces, directions, choices)
        batch = case.batch(8)
        parent = inner.padded(case.parent, case.layout, case.spaces)
        losses = [float(case.context.loss(state, batch)) for state in (parent, silent)]
        assert losses[1] == pytest.approx(losses[0], rel=1e-9)
        some = next(iter(directions.split.values()))
        some.fill_(0.1)
        moved = firefly.assembled(case.parent, case.layout, case.spaces, directions, choices)
        assert float(case.context.loss(moved, batch)) != pytest.approx(losses[0], rel=1e-6)


def test_firefly_grows_every_space_by_its_count_and_stays_near(case):
    state = case.grow("firefly")
    assert case.layout.space_sizes(state, "child") == case.layout.sizes
    assert 1e-6 < case.error(state) < 1.0


def test_split_and_merge_give_the_old_neurons(images):
    """Incoming weights of the two halves average to the old ones, outgoing ones sum to them."""
    case = Case(images, "deit")
    directions = firefly.draw_directions(
        case.parent, case.layout, case.spaces, torch.Generator().manual_seed(1)
    )
    nothing = torch.arange(0)
    choices = {s: firefly.Choice(torch.arange(old), nothing) for s, (old, _) in case.spaces.items()}
    with torch.no_grad():
        state = firefly.assembled(case.parent, case.layout, case.spaces, directions, choices)
    name = "backbone.layers.0.ffn.layers.0.0.weight"
    first, second = state[name].chunk(2)
    torch.testing.assert_close((first + second) / 2, case.parent[name])
    assert not torch.equal(first, second)
    name = "backbone.layers.0.ffn.layers.1.weight"
    torch.testing.assert_close(sum(state[name].chunk(2, 1)), case.parent[name])


@pytest.mark.parametrize("splits", [False, True])
def test_firefly_scores_are_what_a_candidate_does_to_the_loss(images, splits):
    """For short directions: to first order for new neurons; half of it for splits, whose first
    order cancels between the halves.
    """
    case = Case(images, "deit")
    generator = torch.Generator().manual_seed(1)
    directions = firefly.draw_directions(case.parent, case.layout, case.spaces, generator)
    with torch.no_grad():
        for group in (directions.split, directions.outgoing):
            for tensor in group.values():
                tensor.mul_(1e-3 / tensor.abs().max())
    everything = {s: firefly._all_candidates(size) for s, size in case.spaces.items()}
    batch = case.batch(8)

    def loss(choices):
        tensors = firefly.assembled(case.parent, case.layout, case.spaces, directions, choices)
        return case.context.loss(tensors, batch)

    leaves = directions.all()
    gradients = directions.with_values(torch.autograd.grad(loss(everything), leaves))
    ours, theirs = (directions.split, gradients.split) if splits else (
        directions.outgoing, gradients.outgoing)  # fmt: skip
    score = sum(float((ours[name].detach() * theirs[name]).sum()) for name in ours)
    none = torch.arange(0)
    kept = {
        s: firefly.Choice(torch.arange(old), none) if splits else firefly.Choice(none, c.new)
        for (s, (old, _)), c in zip(case.spaces.items(), everything.values(), strict=True)
    }
    nothing = dict.fromkeys(case.spaces, firefly.Choice(none, none))
    with torch.no_grad():
        change = float(loss(kept) - loss(nothing))
    assert change == pytest.approx(score / 2 if splits else score, rel=0.05)


def test_firefly_keeps_what_lowers_the_loss(images):
    """The candidates of the lowest scores end at a lower loss than those of the highest."""
    case = Case(images, "deit")
    kept = firefly.choose
    losses = []
    for sign in (1, -1):

        def chosen(layout, spaces, directions, gradients, sign=sign):
            return kept(layout, spaces, directions, [sign * g for g in gradients])

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(firefly, "choose", chosen)
            state = case.grow("firefly")
        batches = case.context.batches(case.context.samples)
        losses.append(sum(float(case.context.loss(state, b)) for b in batches))
    assert losses[0] < losses[1]


def test_the_same_seed_gives_the_same_child_and_another_does_not(images):
    states = [Case(images, "resnet").grow("gradmax") for _ in range(2)]
    assert all(torch.equal(tensor, states[1][name]) for name, tensor in states[0].items())
    case = Case(images, "resnet")
    case.context.seed = 2
    other = case.grow("gradmax")
    assert any(not torch.equal(tensor, other[name]) for name, tensor in states[0].items())


def test_reinit_starts_as_its_recipe_does(case):
    state = case.grow("reinit")
    again = TrainingContext(case.config, seed=1).initial()
    assert all(torch.equal(tensor.to(again[n]), again[n]) for n, tensor in state.items())
    assert case.error(state) > 0.1


@pytest.mark.parametrize("operator", ["gradmax", "firefly", "reinit"])
@pytest.mark.parametrize("family", ["deit", "resnet"])
def test_a_protocol_runs_and_charges_its_growth(images, tmp_path, family, operator):
    cfg = with_bottlenecks(staged(images, tmp_path / "tiny", family))
    cfg.protocol = dict(method=operator, family=family, reference_epochs=10)
    first = dict(width="1/2") if operator == "reinit" else dict(width=1, inner="1/2")
    cfg.stages = [dict(members=1, epochs=1, **first), dict(members=1, width=1, epochs=1)]
    train_protocol(cfg)
    plan, ledger = (load_json(tmp_path / f"tiny/{name}.json") for name in ("plan", "ledger"))
    assert ledger["total_flops"] == pytest.approx(plan["total_flops"], rel=0.005)
    growth = plan["stages"][1]["growth_flops"]
    assert (growth > 0) == (operator != "reinit")
    (stage,) = tmp_path.glob("tiny/stage1_*")
    assert load_json(stage / "grown/0/cost.json")["flops"] == growth
    (child,) = load_json(stage / "junction.json")["children"]
    if operator == "gradmax":
        assert child["child"] == child["parents"][0]
    assert (tmp_path / "tiny/tiny.pth").is_file()


@pytest.mark.parametrize("operator", ["gradmax", "reinit"])
def test_files_are_grown_with_a_whole_config(images, tmp_path, operator):
    case = Case(images, "deit")
    save_member(tmp_path / "narrow.pth", {n: t.float() for n, t in case.parent.items()}, {})
    case.config.dump(str(tmp_path / "wide.py"))
    files = dict(parents=[str(tmp_path / "narrow.pth")], operator=operator)
    grown = grow_files(str(tmp_path / "wide.py"), **files)
    write_grown(grown, tmp_path / "child.pth")
    if operator == "gradmax":
        state = read_checkpoint(tmp_path / "child.pth").state_dict
        state = {name: tensor.double() for name, tensor in state.items()}
        # The file's numbers are rounded once; all else is float64.
        assert_float32(lambda: case.logits(state), [case.logits(state)], case.logits())
    case.config.pop("train_dataloader")
    case.config.dump(str(tmp_path / "model.py"))
    with pytest.raises(ValueError, match=r"model.py has no train_dataloader; give a whole config"):
        grow_files(str(tmp_path / "model.py"), **files)


@pytest.mark.parametrize(
    "method, first, words",
    [
        ("gradmax", dict(width="1/2"), "grows the inner width alone"),
        ("firefly", dict(width=1), "a smaller stages"),
        ("rbdc", dict(width="1/2", inner="1/2"), "coupling grows all widths alike"),
    ],
)
def test_stages_that_do_not_serve(images, tmp_path, method, first, words):
    cfg = staged(images, tmp_path / "tiny")
    cfg.protocol = dict(method=method, family="deit", reference_epochs=10)
    members = 2 if method == "rbdc" else 1
    cfg.stages = [dict(members=members, epochs=1, **first), dict(members=1, width=1, epochs=1)]
    with pytest.raises(PlanError, match=words):
        train_protocol(cfg)


def test_growth_that_gradmax_cannot_serve(images):
    case = Case(images, "deit")
    sizes = {**case.sizes, **dict.fromkeys(case.spaces, 4)}
    arch = architecture_from_config(case.config.model)
    wide = arch.at_inner(Fraction(4)).layout()
    with pytest.raises(GrowthError, match="32 new neurons different gradients at most"):
        get_operator("gradmax").describe(wide, [sizes])


def test_without_a_context_the_message_says_where_to_get_one(images):
    case = Case(images, "deit")
    with pytest.raises(GrowthError, match="protocol.method='firefly'"):
        grow([case.parent], case.layout, operator="firefly")


@pytest.mark.parametrize(
    "method, refused", [("gradmax", True), ("firefly", True), ("reinit", False)]
)
def test_images_that_no_loader_prepares_are_missed_before_anything_trains(images, method, refused):
    cfg = config_of(images, "deit")
    for split in ("val", "test"):
        for key in ("dataloader", "cfg", "evaluator"):
            cfg.pop(f"{split}_{key}", None)
    cfg.protocol = dict(method=method, family="deit", reference_epochs=10)
    first = dict(width=1, inner="1/2") if refused else dict(width="1/2")
    cfg.stages = [dict(members=1, epochs=1, **first), dict(members=1, width=1, epochs=1)]
    protocol = parse_protocol(cfg)
    if refused:
        with pytest.raises(PlanError, match="neither val_dataloader nor test_dataloader"):
            check_staged(cfg, protocol)
    else:
        check_staged(cfg, protocol)
