"""Solved lengths fit the budget, keep the ratio, and survive being pasted into a config."""

import pytest

from mmrbdc.methods import parse_protocol
from mmrbdc.plan import PlanError, StageModel, make_plan, solve_lengths, with_epochs

TINY = StageModel("tiny", 192, 0, 0, 3 * 2_507)
SMALL = StageModel("small", 384, 0, 0, 3 * 9_200)
BASE = StageModel("base", 768, 0, 0, 3 * 35_130)
MODELS = [TINY, SMALL, BASE]
PROTOCOL = parse_protocol(
    {
        "protocol": {"method": "rbdc", "family": "deit"},
        "stages": [
            {"members": 4, "width": 0.25, "epochs": 1},
            {"members": 2, "width": 0.5, "iters": 1},
            {"members": 1, "width": 1, "epochs": 1},
        ],
    }
)
IMAGENET = {"samples": 1_281_167, "batch_size": 1024, "reference_model": BASE}
DIGITS = {"samples": 1100, "batch_size": 64, "reference_model": BASE}


@pytest.mark.parametrize("data", [IMAGENET, DIGITS, {**IMAGENET, "drop_last": True}])
@pytest.mark.parametrize("budget", [0.05, 0.5, 0.7, 1, 1.3])
@pytest.mark.parametrize("ratio", [0.5, 1, 1.5, 2])
def test_total_is_the_budget_and_never_above_it(data, budget, ratio):
    epochs = solve_lengths(PROTOCOL, MODELS, **data, budget=budget, ratio=ratio)
    plan = make_plan(with_epochs(PROTOCOL, epochs), MODELS, **data)
    cheapest = min(row.members * row.train_flops_per_sample for row in plan.rows)
    assert plan.share <= budget
    left = budget * plan.reference.flops - plan.total_flops
    assert left <= cheapest * data["batch_size"]
    if data is not DIGITS:
        assert plan.share == pytest.approx(budget, rel=1e-3)
        lengths = [row.iters for row in plan.rows]
        assert lengths[0] / lengths[1] == pytest.approx(ratio, rel=1e-2)
        assert lengths[1] / lengths[2] == pytest.approx(ratio, rel=1e-2)


def test_lengths_do_not_depend_on_those_in_the_config():
    longer = with_epochs(PROTOCOL, [9, 9, 9])
    assert solve_lengths(PROTOCOL, MODELS, **IMAGENET, budget=0.7) == solve_lengths(
        longer, MODELS, **IMAGENET, budget=0.7
    )


def test_one_member_a_stage_would_not_fit():
    """The twin: a budget solved as if every stage had one member is overspent by all of them."""
    alone = [
        StageModel(model.label, model.width, 0, 0, model.train_flops_per_sample // stage.members)
        for model, stage in zip(MODELS, PROTOCOL.stages, strict=True)
    ]
    epochs = solve_lengths(PROTOCOL, alone, **IMAGENET, budget=0.7)
    assert make_plan(with_epochs(PROTOCOL, epochs), MODELS, **IMAGENET).share > 0.75


@pytest.mark.parametrize(
    ("budget", "ratio", "words"),
    [
        (0, 1.5, "budget is 0"),
        (-0.7, 1.5, "budget is -0.7"),
        (float("nan"), 1.5, "budget is nan"),
        (0.7, 0, "ratio is 0"),
        (0.7, -1, "ratio is -1"),
        (1e-6, 1.5, "without an iteration"),
        (0.7, 1e-4, r"stages\[0\] without an iteration"),
    ],
)
def test_refuses(budget, ratio, words):
    with pytest.raises(PlanError, match=words):
        solve_lengths(PROTOCOL, MODELS, **DIGITS, budget=budget, ratio=ratio)
