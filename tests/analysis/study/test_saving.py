"""The saving at equal accuracy: a known one is recovered, its interval covers, edges are named."""

import math

import numpy as np
import pytest

from mmrbdc.analysis import AnalysisError
from mmrbdc.analysis.study.saving import Point, flops_at, monotone, saving

BUDGETS = (2.5e12, 5e12, 7.5e12, 1e13)


def law(flops):
    """Accuracy that rises with the logarithm of FLOPs, 8 points a doubling."""
    return 40 + 8 * math.log2(flops / BUDGETS[0])


def measured(truth, noise, rng, flops, runs):
    return Point(flops, tuple(truth + noise * rng.standard_normal(runs)))


def study(true_saving, *, noise=0.0, runs=3, seed=0, spent=5e12):
    """A method that reaches with ``spent`` what scratch reaches with ``spent / (1 - saving)``."""
    rng = np.random.default_rng(seed)
    curve = [measured(law(flops), noise, rng, flops, runs) for flops in BUDGETS]
    return measured(law(spent / (1 - true_saving)), noise, rng, spent, runs), curve


@pytest.mark.parametrize("true_saving", [-0.6, -0.1, 0.0, 0.1, 0.3, 0.45])
def test_a_known_saving_is_recovered(true_saving):
    found = saving(*study(true_saving))
    assert found.value == pytest.approx(true_saving, abs=1e-9)
    assert found.scratch_flops == pytest.approx(5e12 / (1 - true_saving))
    assert found.low == pytest.approx(true_saving, abs=1e-9)
    assert found.high == pytest.approx(true_saving, abs=1e-9)


def linear(accuracy, flops, accuracies):
    """The wrong twin: interpolated in FLOPs, not in their logarithm."""
    return float(np.interp(accuracy, accuracies, flops))


def swapped(accuracy, flops, accuracies):
    """The other wrong twin: budgets looked up as if they were accuracies."""
    return float(np.interp(accuracy, np.log(flops), accuracies))


@pytest.mark.parametrize("twin", [linear, swapped])
def test_wrong_twins_miss_it(twin):
    method, curve = study(0.4)
    found = 1 - method.flops / twin(method.mean, BUDGETS, [point.mean for point in curve])
    assert abs(found - 0.4) > 0.005


def test_what_the_curve_measured_is_read_off_exactly():
    accuracies = [law(flops) for flops in BUDGETS]
    for flops, accuracy in zip(BUDGETS, accuracies, strict=True):
        assert flops_at(accuracy, BUDGETS, accuracies) == flops


def test_the_unit_of_flops_does_not_matter():
    method, curve = study(0.2, noise=0.5)
    scaled = [Point(1e-12 * point.flops, point.scores) for point in (method, *curve)]
    ours, theirs = saving(method, curve), saving(scaled[0], scaled[1:])
    assert theirs.value == pytest.approx(ours.value, rel=1e-9)
    assert (theirs.low, theirs.high) == pytest.approx((ours.low, ours.high), rel=1e-9)


def test_the_order_of_budgets_does_not_matter():
    method, curve = study(0.2)
    assert saving(method, curve[::-1]).value == pytest.approx(saving(method, curve).value)


def test_more_accuracy_never_saves_less():
    curve = study(0.0, noise=1.0, seed=3)[1]
    means = [point.mean for point in curve]
    needed = [flops_at(accuracy, BUDGETS, means) for accuracy in np.linspace(30, 70, 200)]
    assert needed == sorted(needed)


def test_above_the_curve_is_at_least_and_below_it_is_below():
    curve = study(0.0)[1]
    above = saving(Point(5e12, (law(2e13),) * 3), curve)
    assert above.value == above.low == above.high == math.inf and above.scratch_flops is None
    assert above.shown(above.value) == above.shown_interval == "at least 50 %"
    below = saving(Point(5e12, (law(1e12),) * 3), curve)
    assert below.value == -math.inf and below.scratch_flops is None
    assert below.shown(below.value) == "below -100 %"


def test_an_interval_that_leaves_the_curve_says_so():
    curve = study(0.0)[1]
    top = law(BUDGETS[-1])
    found = saving(Point(5e12, (top - 3, top - 1, top + 1)), curve)
    assert math.isfinite(found.value) and math.isfinite(found.low) and found.high == math.inf
    assert found.shown_interval.endswith("to at least 50 %")


def test_a_flat_stretch_counts_at_its_cheapest():
    assert flops_at(50, (1, 2, 4), (40, 50, 50)) == 2
    assert flops_at(50, (1, 2, 4), (50, 50, 60)) == 1


def test_a_dip_is_pooled():
    assert monotone([1, 3, 2, 4]) == [1, 2.5, 2.5, 4]
    assert monotone([3, 2, 1]) == [2, 2, 2]
    rng = np.random.default_rng(0)
    for values in rng.standard_normal((50, 6)):
        pooled = monotone(values.tolist())
        assert pooled == sorted(pooled)
        assert sum(pooled) == pytest.approx(values.sum())


def test_the_interval_covers_the_truth():
    """Nominal 95 %, at five seeds; without the widening it is markedly less."""
    hits = 0
    for seed in range(60):
        found = saving(*study(0.25, noise=0.5, runs=5, seed=seed))
        hits += found.low <= 0.25 <= found.high
    assert hits >= 0.85 * 60


def test_the_interval_is_the_same_every_time_and_narrows_with_seeds():
    few, many = (study(0.25, noise=0.5, runs=runs) for runs in (4, 40))
    assert saving(*few) == saving(*few)
    assert saving(*many).high - saving(*many).low < saving(*few).high - saving(*few).low


def test_single_seeds_have_no_interval():
    found = saving(*study(0.2, runs=1))
    assert found.low is None and found.high is None and found.shown_interval == "-"
    assert found.value == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("scratch", "words"),
    [
        ([Point(1e12, (40.0,))], "at least two budgets"),
        ([Point(1e12, (40.0,)), Point(1e12, (41.0,))], "must be positive and rise"),
        ([Point(0.0, (40.0,)), Point(1e12, (41.0,))], "must be positive and rise"),
        ([Point(1e12, ()), Point(2e12, (41.0,))], "without runs"),
    ],
)
def test_refuses(scratch, words):
    with pytest.raises(AnalysisError, match=words):
        saving(Point(1e12, (40.0,)), scratch)
