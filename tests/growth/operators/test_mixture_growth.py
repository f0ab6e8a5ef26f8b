"""MixtureGrowth on the toy network: what is placed, what is mixed, and from whose templates."""

import pytest
import torch

from mmrbdc.growth import GrowthError, get_operator, grow
from mmrbdc.growth.maps.templates import is_mixed, mix, plain_state, template_layout, template_names
from mmrbdc.growth.operators import block_diagonal
from mmrbdc.growth.operators.mixture_growth import OFF_DIAGONALS, copied, drawn, orthogonal, zero

pytestmark = pytest.mark.numeric

WIDTHS = (4, 6)
GATE = "block.gate.weight"
MIXED = [GATE, "block.out.weight"]


def mixture(toy, seed, widths=WIDTHS):
    """Random templates and coefficients in float64."""
    plain = toy.weights(*widths, seed)
    draw = torch.Generator().manual_seed(100 + seed)
    state = {}
    for name, tensor in plain.items():
        if name not in MIXED:
            state[name] = tensor
            continue
        templates, coefficients = template_names(name)
        state[templates] = torch.randn((2, *tensor.shape), generator=draw, dtype=torch.float64)
        state[coefficients] = torch.randn(2, generator=draw, dtype=torch.float64)
    return state


def child_of(toy, operator="mixture-growth", seed=0, parents=None):
    """Two parents and their child."""
    parents = parents or [mixture(toy, 1), mixture(toy, 2)]
    draw = torch.Generator().manual_seed(seed)
    found = grow(parents, toy.layout(8, 12), operator=operator, generator=draw)
    return parents, found.state_dict


def plain(toy, parent):
    return plain_state(parent, toy.layout(8, 12))


def quarters(name, tensor):
    """The four blocks of every fused map, (maps, 2, 2, rows, columns), written by hand."""
    maps = tensor.chunk(2) if name == GATE else [tensor]
    return torch.stack(
        [torch.stack([torch.stack(half.chunk(2, 1)) for half in one.chunk(2)]) for one in maps]
    )


def maps_of(name, tensor):
    return torch.stack(tensor.chunk(2) if name == GATE else [tensor])


def assert_sum_of_parents(toy, parents, child):
    images = torch.randn(7, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    total = sum(toy.forward(plain(toy, parent), images) for parent in parents)
    error = (toy.forward(child, images) - total).abs().max() / total.abs().max()
    assert error < 1e-10, error


def test_which_weights_are_mixed(toy):
    layout = toy.layout(8, 12)
    assert [name for name, entry in layout.entries.items() if is_mixed(entry)] == MIXED
    wide = template_layout(layout)
    assert wide.shape("block.gate.parametrizations.weight.original0") == (2, 24, 8)
    assert wide.shape("block.gate.parametrizations.weight.original1") == (2,)
    assert wide.entries.keys() - layout.entries.keys() == {
        f"block.{module}.parametrizations.weight.original{i}"
        for module in ("gate", "out")
        for i in range(2)
    }
    assert layout.entries.keys() - wide.entries.keys() == set(MIXED)


def test_zero_has_the_sum_of_the_logits(toy):
    parents, child = child_of(toy, "mixture-growth-zero")
    assert_sum_of_parents(toy, parents, child)


@pytest.mark.parametrize("name", ["head.weight", "head.bias"])
def test_wrong_on_purpose_the_mean_of_the_logits(toy, name):
    parents, child = child_of(toy, "mixture-growth-zero")
    child[name] = child[name] / 2
    with pytest.raises(AssertionError):
        assert_sum_of_parents(toy, parents, child)


@pytest.mark.parametrize("operator", sorted(OFF_DIAGONALS.keys() - {"mixture-growth-zero"}))
def test_twin_the_others_have_not(toy, operator):
    parents, child = child_of(toy, operator)
    with pytest.raises(AssertionError):
        assert_sum_of_parents(toy, parents, child)


def test_zero_is_block_diagonal_coupling_up_to_the_summed_logits(toy):
    parents, child = child_of(toy, "mixture-growth-zero")
    coupled = block_diagonal.grow([plain(toy, p) for p in parents], toy.layout(8, 12))
    for name, tensor in coupled.items():
        scale = 2 if name.startswith("head") else 1
        assert torch.equal(child[name], scale * tensor), name


def assert_diagonal(toy, parents, child):
    for name in MIXED:
        for i, parent in enumerate(parents):
            own = maps_of(name, plain(toy, parent)[name])
            assert torch.equal(quarters(name, child[name])[:, i, i], own)


@pytest.mark.parametrize("operator", OFF_DIAGONALS)
def test_diagonal_blocks_are_the_members_weights_bit_by_bit(toy, operator):
    assert_diagonal(toy, *child_of(toy, operator))


def test_wrong_on_purpose_fused_maps_as_one_block(toy):
    parents, child = child_of(toy, "mixture-growth-zero")
    child[GATE] = torch.block_diag(*[plain(toy, parent)[GATE] for parent in parents])
    with pytest.raises(AssertionError):
        assert_diagonal(toy, parents, child)


def coefficients_beside(toy, name, parents, child, i, whose):
    """Coefficients of the block in the rows of parent ``i``, and what they leave unexplained."""
    templates = parents[whose][template_names(name)[0]]
    basis = torch.stack([maps_of(name, template).flatten() for template in templates], 1)
    block = quarters(name, child[name])[:, i, 1 - i].flatten()
    found = torch.linalg.lstsq(basis, block[:, None]).solution[:, 0]
    return found, (basis @ found - block).norm() / block.norm().clamp(1e-300)


@pytest.mark.parametrize("operator", OFF_DIAGONALS)
@pytest.mark.parametrize("name", MIXED)
def test_off_diagonal_blocks_are_mixed_from_the_templates_of_their_rows(toy, operator, name):
    parents, child = child_of(toy, operator)
    for i, parent in enumerate(parents):
        own = parent[template_names(name)[1]]
        found, rest = coefficients_beside(toy, name, parents, child, i, whose=i)
        assert rest < 1e-10
        if operator == "mixture-growth":
            assert abs(found @ own) < 1e-10
        if operator in ("mixture-growth", "mixture-growth-random"):
            assert found.norm() == pytest.approx(own.norm().item())
        if operator == "mixture-growth-zero":
            assert found.norm() == 0
        if operator == "mixture-growth-copy":
            assert 0 < (found - own).norm() < 0.3 * own.norm()
        if operator != "mixture-growth-zero":  # twin: from the templates of their columns
            assert coefficients_beside(toy, name, parents, child, i, 1 - i)[1] > 0.1


def test_every_number_of_a_fused_tensor_by_hand(toy):
    """Two maps, stream 1 and hidden 2 a parent, zero but for small integers."""
    parents = [mixture(toy, seed, (1, 2)) for seed in (1, 2)]
    for parent, (a, templates) in zip(
        parents, [((1, 0), range(1, 9)), ((0, -2), range(11, 19))], strict=True
    ):
        first, second = template_names(GATE)
        parent[first] = torch.tensor(list(templates)).double().view(2, 4, 1)
        parent[second] = torch.tensor(a).double()
    draw = torch.Generator().manual_seed(0)
    signs = [2 * int(torch.randint(2, (), generator=draw)) - 1 for _ in range(2)]
    child = grow(parents, toy.layout(2, 4), operator="mixture-growth",
                 generator=torch.Generator().manual_seed(0)).state_dict[GATE]  # fmt: skip
    s, t = signs  # of a2 = s (0, 1) and a3 = t (2, 0)
    expected = [
        [1, 5 * s],
        [2, 6 * s],
        [22 * t, -30],
        [24 * t, -32],
        [3, 7 * s],
        [4, 8 * s],
        [26 * t, -34],
        [28 * t, -36],
    ]
    assert child.tolist() == expected


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_orthogonal_is_exactly_so_and_as_long(dtype):
    draw = torch.Generator().manual_seed(0)
    signs = set()
    for _ in range(50):
        own = torch.randn(2, generator=draw, dtype=dtype)
        found = orthogonal(own, draw)
        assert found[0] * own[0] + found[1] * own[1] == 0
        assert set(found.abs().tolist()) == set(own.abs().tolist())
        signs.add(bool((found[0] > 0) == (own[1] > 0)))
        for rule in (copied, drawn):  # twins
            assert rule(own, draw) @ own != 0
        assert drawn(own, draw).norm() == pytest.approx(own.norm().item(), rel=1e-6)
        assert not zero(own, draw).count_nonzero()
    assert signs == {False, True}


@pytest.mark.parametrize("operator", sorted(OFF_DIAGONALS.keys() - {"mixture-growth-zero"}))
def test_the_generator_decides(toy, operator):
    _, one = child_of(toy, operator, seed=1)
    _, again = child_of(toy, operator, seed=1)
    assert all(torch.equal(one[name], again[name]) for name in one)
    others = [child_of(toy, operator, seed=seed)[1][GATE] for seed in range(2, 6)]
    assert not all(torch.equal(one[GATE], other) for other in others)


@pytest.mark.parametrize("operator", OFF_DIAGONALS)
def test_parents_are_left_alone_and_dtype_is_kept(toy, operator):
    states = [mixture(toy, seed) for seed in (1, 2)]
    states = [{k: v if v.ndim == 0 else v.float() for k, v in s.items()} for s in states]
    before = [{name: tensor.clone() for name, tensor in state.items()} for state in states]
    _, child = child_of(toy, operator, parents=states)
    assert {tensor.dtype for tensor in child.values()} == {torch.float32, torch.int64}
    for tensor in child.values():
        tensor.zero_()
    for state, old in zip(states, before, strict=True):
        assert all(torch.equal(state[name], old[name]) for name in old)


def test_the_report_says_what_lies_between_the_parents(toy):
    parents = [mixture(toy, 1), mixture(toy, 2)]
    report = grow(parents, toy.layout(8, 12), operator="mixture-growth").report
    rules = {tensor.name: tensor.rule for tensor in report.tensors}
    assert rules == {
        "token": "placed",
        "embed.weight": "placed",
        GATE: "mixed",
        "block.gate.bias": "placed",
        "block.out.weight": "mixed",
        "block.steps": "copied",
        "head.weight": "placed",
        "head.bias": "sum",
    }
    assert report.between_parents == 24 * 8 // 2 + 8 * 12 // 2


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda toy: [mixture(toy, 1)], r"couples two parents, it got 1"),
        (lambda toy: [mixture(toy, i) for i in (1, 2, 3)], r"it got 3; name two"),
        (
            lambda toy: [mixture(toy, 1, (2, 6)), mixture(toy, 2, (6, 6))],
            r"'stream' is 2 and 6 wide in the parents",
        ),
        (
            lambda toy: [mixture(toy, 1, (4, 4)), mixture(toy, 2, (4, 4))],
            r"'hidden' is 12 wide in the child, but the parents' widths 4 \+ 4 = 8",
        ),
        (
            lambda toy: [mixture(toy, 1), toy.weights(*WIDTHS, 2)],
            r"parent 1 holds plain weights.*protocol\.method='mixture-growth'.*members/",
        ),
    ],
)
def test_parents_that_are_refused(toy, make, message):
    with pytest.raises(GrowthError, match=message):
        grow(make(toy), toy.layout(8, 12), operator="mixture-growth")


def test_more_templates_are_refused(toy):
    parents = [mixture(toy, 1), mixture(toy, 2)]
    for parent in parents:
        for name in template_names(GATE):
            parent[name] = torch.cat([parent[name], parent[name][:1]])
    with pytest.raises(GrowthError, match="the number of templates is 3 here and 2"):
        grow(parents, toy.layout(8, 12), operator="mixture-growth")


@pytest.mark.parametrize("operator", ["block-diagonal", "net2net"])
def test_other_operators_refuse_mixtures(toy, operator):
    with pytest.raises(GrowthError, match=r"holds mixtures of templates.*mixture-growth-zero"):
        grow([mixture(toy, 1), mixture(toy, 2)], toy.layout(8, 12), operator=operator)
    assert get_operator(operator).parent_weights == "plain"


def test_mixing_is_elementwise():
    templates = torch.tensor([[1.0, 2.0], [10.0, 20.0]])
    assert torch.equal(mix(templates, torch.tensor([3.0, -1.0])), torch.tensor([-7.0, -14.0]))
