"""One model of the full width whose images and depth grow, from the config to the final model."""

from fractions import Fraction

import pytest

from mmrbdc.growth import deepen, resize_positions
from mmrbdc.plan import PlanError
from mmrbdc.weights import read_checkpoint
from tests.engine.tiny_runs import differing, load_json, staged, stages_of, train_protocol

pytestmark = pytest.mark.numeric

GROWING = [
    dict(members=1, width=1, depth="1/2", img_size=8, iters=2),
    dict(members=1, width=1, iters=2),
]


def protocol(images, work_dir, family="deit", stages=GROWING):
    settings = dict(method="progressive", family=family, reference_epochs=10)
    return staged(images, work_dir, family, protocol=settings, stages=stages)


def test_the_child_is_its_parent_resized_and_deepened(images, tmp_path):
    cfg = protocol(images, tmp_path / "tiny")
    train_protocol(cfg)
    before, last = stages_of(cfg)[1]
    low, wide = before.architecture, last.architecture
    assert (low.width, low.depth, low.grid) == (wide.width, wide.depth // 2, (1, 1))
    state = read_checkpoint(before.member(0)).state_dict
    small = wide.at_depth(Fraction(1, 2)).at_image_size(8)
    shallow = wide.at_depth(Fraction(1, 2))
    state = resize_positions(state, small.layout(), small.grid, shallow.grid)
    state = deepen(state, shallow.layout(), wide.layout(), "stack")
    assert not differing(read_checkpoint(last.folder / "grown/0/child.pth").state_dict, state)
    ledger, plan = (load_json(tmp_path / "tiny" / f"{n}.json") for n in ("ledger", "plan"))
    assert ledger["total_flops"] == plan["total_flops"]
    rates = [stage["train_flops_per_sample"] for stage in plan["stages"]]
    assert rates[0] < rates[1] / 3
    published = load_json(tmp_path / "tiny" / "tiny.json")
    assert (published["method"], published["train_flops"]) == ("progressive", ledger["total_flops"])


def test_a_resnet_takes_its_images(images, tmp_path):
    stages = [dict(members=1, width=1, img_size=8, iters=2), dict(members=1, width=1, iters=2)]
    cfg = protocol(images, tmp_path / "tiny", "resnet", stages)
    train_protocol(cfg)
    before, last = stages_of(cfg)[1]
    parent = read_checkpoint(before.member(0)).state_dict
    assert not differing(read_checkpoint(last.folder / "grown/0/child.pth").state_dict, parent)


@pytest.mark.parametrize(
    "change, words",
    [
        (dict(width="1/2"), r"stages\[0\] has width=1/2, but progressive trains one model"),
        (dict(members=2), r"stages\[0\] has members=2.*set stages\[0\].members=1"),
        (dict(inner="1/2"), r"stages\[0\] has inner=1/2"),
        (dict(depth=1, img_size=None), r"nothing grows from stages\[0\] to stages\[1\]"),
    ],
)
def test_what_it_does_not_take_is_refused(images, tmp_path, change, words):
    stages = [{**GROWING[0], **change}, GROWING[1]]
    with pytest.raises(PlanError, match=words):
        train_protocol(protocol(images, tmp_path / "tiny", stages=stages))
    assert not (tmp_path / "tiny").exists()
