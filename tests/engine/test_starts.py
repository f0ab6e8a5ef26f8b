"""Choices beside the paper's plain rule, from the config to the final model."""

import pytest
from tiny_runs import differing, load_json, staged, train_protocol

from mmrbdc.growth import GrowthError
from mmrbdc.plan import PlanError
from mmrbdc.registry import RUNNERS
from mmrbdc.weights import read_checkpoint

pytestmark = pytest.mark.numeric

PROTOCOL = dict(method="rbdc", family="deit", reference_epochs=10)
STAGE = "stage1_1x16"


def protocol(images, work_dir, family="deit", **choices):
    settings = dict(PROTOCOL, family=family, **choices)
    cfg = staged(images, work_dir, family, protocol=settings)
    cfg.custom_hooks = [dict(type="EMAHook", momentum=0.02)]
    return cfg


def trained(images, work_dir, **choices):
    train_protocol(protocol(images, work_dir, **choices))
    return work_dir


@pytest.fixture(scope="module")
def plain(images, tmp_path_factory):
    return trained(images, tmp_path_factory.mktemp("plain") / "tiny")


@pytest.fixture(scope="module")
def matched(images, tmp_path_factory):
    return trained(images, tmp_path_factory.mktemp("matched") / "tiny", streams="matched")


@pytest.fixture(scope="module")
def ramped(images, tmp_path_factory):
    return trained(images, tmp_path_factory.mktemp("ramped") / "tiny", norm_ramp=1)


def test_the_factors_are_found_once_and_their_cost_is_in_the_ledger(plain, matched):
    (child,) = load_json(matched / STAGE / "streams.json")["children"]
    assert len(child["factors"]) == 2 and child["factors"][0] * child["factors"][1] == (
        pytest.approx(1)
    )
    assert child["images"] == 20 and child["flops"] > 0
    spent = load_json(matched / "ledger.json")["total_flops"]
    assert spent == pytest.approx(load_json(plain / "ledger.json")["total_flops"] + child["flops"])
    assert load_json(matched / "tiny.json")["train_flops"] == pytest.approx(spent)


def test_parents_are_the_same_and_children_are_not(plain, matched, ramped):
    for folder in (matched, ramped):
        parents = [
            read_checkpoint(f / "stage0_2x8/members/0.pth").state_dict for f in (plain, folder)
        ]
        assert not differing(*parents)
        children = [
            read_checkpoint(f / f"{STAGE}/members/0.pth").state_dict for f in (plain, folder)
        ]
        assert differing(*children)


def test_with_statistics_apart_the_child_is_its_parents_ensemble(ramped):
    (child,) = load_json(ramped / STAGE / "junction.json")["children"]
    assert child["child"] == pytest.approx(child["ensemble"])


def test_a_stage_stopped_within_its_ramp_ends_the_same(images, tmp_path, ramped):
    cfg = protocol(images, tmp_path / "tiny", norm_ramp=1)
    cfg.default_hooks.checkpoint.max_keep_ckpts = -1
    train_protocol(cfg)
    stage = tmp_path / "tiny" / STAGE
    for name in ("epoch_2.pth", "members/0.pth", "stage.json"):
        (stage / name).unlink()
    train_protocol(cfg, resume=True)
    files = [
        read_checkpoint(folder / "tiny.pth").state_dict for folder in (ramped, tmp_path / "tiny")
    ]
    assert not differing(*files)


@pytest.mark.parametrize("choices", [dict(streams="matched"), dict(norm_ramp=1), dict(warmup=1)])
def test_a_run_is_not_resumed_with_another_choice(images, tmp_path, plain, choices):
    cfg = protocol(images, plain, **choices)
    with pytest.raises(PlanError, match="holds another protocol; it differs in"):
        train_protocol(cfg, resume=True)


def test_a_run_is_not_resumed_on_other_images(images, tmp_path, plain):
    image = next((images / "train").rglob("*.png"))
    image.rename(tmp_path / "elsewhere.png")
    (image.parent / "new.png").write_bytes((tmp_path / "elsewhere.png").read_bytes())
    try:
        with pytest.raises(PlanError, match="its images have other names now"):
            train_protocol(protocol(images, plain), resume=True)
    finally:
        (image.parent / "new.png").rename(image)


def test_the_warm_up_after_a_junction_is_as_long_as_it_says(images, tmp_path):
    runner = RUNNERS.build(protocol(images, tmp_path, warmup=1))
    first, second = (setup.content["param_scheduler"] for setup in runner.stages)
    assert first == RUNNERS.build(protocol(images, tmp_path)).stages[0].content["param_scheduler"]
    assert (second[0]["begin"], second[0]["end"]) == (0, runner.plan.feed.iters_per_epoch)


@pytest.mark.parametrize(
    "family, choices, error, message",
    [
        ("resnet", dict(streams="matched"), GrowthError, "BatchNorm"),
        ("resnet", dict(norm_ramp=1), ValueError, "BatchNorm is exact already"),
        ("deit", dict(norm_ramp=9), ValueError, "the LayerNorm ramp takes 27 iterations"),
        ("deit", dict(norm_ramp=-1), PlanError, "protocol.norm_ramp is -1"),
        ("deit", dict(streams="exact"), PlanError, "protocol.streams is 'exact'"),
        ("deit", dict(warmup="long"), PlanError, "protocol.warmup is 'long'"),
    ],
)
def test_a_choice_that_cannot_be_is_refused(images, tmp_path, family, choices, error, message):
    with pytest.raises(error, match=message):
        train_protocol(protocol(images, tmp_path / "tiny", family, **choices))
