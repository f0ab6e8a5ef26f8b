"""Means over seeds and differences paired by seed, against numbers worked out by hand."""

import itertools
import math
import random

import pytest

from mmrbdc.analysis import PairedDifference, collect, groups, paired_differences
from tests.analysis.run_dirs import write_demo, write_detector, write_pretraining

RBDC = {0: 97.0, 1: 96.0, 2: 98.0}
SCRATCH = {0: 92.0, 1: 93.0, 2: 91.0}


def write_seeds(root, scores, method):
    for seed, top1 in scores.items():
        stages = ((1, 192, 10.0, 1e12),)
        write_pretraining(
            root / f"{method}{seed}",
            name=method,
            method=method,
            seed=seed,
            stages=stages,
            top1=top1,
        )


def differences_of(root):
    return paired_differences(groups(collect([root])))


def test_mean_and_standard_deviation_by_hand(tmp_path):
    write_seeds(tmp_path, RBDC, "rbdc")
    (group,) = groups(collect([tmp_path]))
    spread = group.spread("top1")
    assert (spread.mean, spread.sd, spread.n) == (97.0, 1.0, 3)
    assert group.seeds == (0, 1, 2)


def test_paired_differences_by_hand(tmp_path):
    """Differences 5, 3, 7: mean 5, sd 2, interval 5 -+ 4.3027 * 2 / sqrt(3), p = 2 of 8 flips."""
    write_seeds(tmp_path, RBDC, "rbdc")
    write_seeds(tmp_path, SCRATCH, "scratch")
    (difference,) = differences_of(tmp_path)
    assert (difference.first, difference.second) == ("RBDC", "scratch")
    assert difference.differences == pytest.approx((5.0, 3.0, 7.0))
    assert difference.spread.mean == pytest.approx(5.0)
    assert difference.spread.sd == pytest.approx(2.0)
    half = 4.302653 * 2 / math.sqrt(3)
    assert difference.interval == pytest.approx((5 - half, 5 + half), abs=1e-5)
    assert difference.p_value == pytest.approx(0.25)


def test_pairing_the_wrong_seeds_gives_another_spread(tmp_path):
    """The twin: with the seeds of one side exchanged the mean stays and the spread does not."""
    write_seeds(tmp_path, RBDC, "rbdc")
    write_seeds(tmp_path, {0: 91.0, 1: 92.0, 2: 93.0}, "scratch")
    (difference,) = differences_of(tmp_path)
    assert difference.spread.mean == pytest.approx(5.0)
    assert difference.spread.sd == pytest.approx(1.0)


def test_only_common_seeds_are_paired(tmp_path):
    write_seeds(tmp_path, RBDC | {7: 50.0}, "rbdc")
    write_seeds(tmp_path, SCRATCH | {8: 99.0}, "scratch")
    (difference,) = differences_of(tmp_path)
    assert difference.seeds == (0, 1, 2)
    assert difference.differences == pytest.approx((5.0, 3.0, 7.0))


def test_one_common_seed_is_no_comparison(tmp_path):
    write_seeds(tmp_path, {0: 97.0, 1: 96.0}, "rbdc")
    write_seeds(tmp_path, {0: 92.0, 2: 93.0}, "scratch")
    assert differences_of(tmp_path) == []


@pytest.mark.parametrize("n", [2, 5, 9])
def test_p_counts_sign_flips(n):
    noise = random.Random(n)
    values = [noise.gauss(0.6, 1.0) for _ in range(n)]
    difference = PairedDifference("a", "b", "deit", "top1", tuple(values), tuple(range(n)))
    flips = [
        abs(sum(sign * value for sign, value in zip(signs, values, strict=True)))
        for signs in itertools.product((1, -1), repeat=n)
    ]
    expected = sum(flip >= abs(sum(values)) - 1e-9 for flip in flips) / 2**n
    assert difference.p_value == pytest.approx(expected)


def test_aps_are_compared_in_points(tmp_path):
    for seed, (ours, theirs) in enumerate([(0.31, 0.20), (0.33, 0.20)]):
        source = write_pretraining(tmp_path / f"p{seed}", name="r", method="rbdc", seed=seed)
        write_detector(tmp_path / f"d{seed}", name="det", source=source, bbox=ours)
        write_detector(tmp_path / f"r{seed}", name="random", seed=seed, bbox=theirs)
    found = {d.field: d.differences for d in differences_of(tmp_path)}
    assert found["bbox_mAP"] == pytest.approx((11.0, 13.0))
    assert "top1" not in found


def test_families_are_not_compared_with_each_other(tmp_path):
    write_demo(tmp_path, seeds=(0, 1), families=("deit", "resnet"))
    found = groups(collect([tmp_path]))
    assert [(g.family, g.label) for g in found] == [
        (family, label) for family in ("deit", "resnet") for label in ("RBDC", "scratch", "random")
    ]
    assert len(paired_differences(found)) == 2 * (3 + 2 + 2)


def test_detectors_of_one_pretraining_count_its_accuracy_once(tmp_path):
    """Two fine-tunings of seed 0 are one value of seed 0, not two independent ones."""
    for seed, top1 in enumerate((90.0, 96.0)):
        source = write_pretraining(
            tmp_path / f"p{seed}", name="r", method="rbdc", seed=seed, top1=top1
        )
        for repeat in range(2 - seed):
            write_detector(
                tmp_path / f"d{seed}{repeat}", name="det", source=source, bbox=0.3 + repeat / 10
            )
    (group,) = groups(collect([tmp_path]))
    assert len(group.rows) == 3
    assert group.spread("top1").mean == pytest.approx(93.0)
    assert group.by_seed("bbox_mAP") == pytest.approx({0: 35.0, 1: 30.0})


def test_labels_name_what_tells_groups_apart(tmp_path):
    root = write_demo(tmp_path, extra_protocol=True)
    source = root / "deit-seed0" / "rbdc1"
    for name in ("small", "large"):
        write_detector(root / name, name=name, source=source)
    assert [group.label for group in groups(collect([root]))] == [
        "RBDC, deit-micro_1step_digits, large",
        "RBDC, deit-micro_1step_digits, small",
        "RBDC, deit-micro_2step_digits",
        "scratch",
        "random",
    ]
