"""Protocols of the methods that widen one model, from the config to the final file."""

import pytest

from mmrbdc.growth import GrowthError
from mmrbdc.plan import PlanError
from tests.engine.tiny_runs import load_json, staged, train_protocol

WIDEN = [dict(members=1, width="1/2", epochs=1), dict(members=1, width=1, epochs=1)]


def protocol(images, work_dir, family, method, stages=None, **settings):
    cfg = staged(images, work_dir, family)
    cfg.protocol = dict(method=method, family=family, reference_epochs=10, **settings)
    cfg.stages = WIDEN if stages is None else stages
    return cfg


@pytest.mark.parametrize("family", ["deit", "resnet"])
@pytest.mark.parametrize("method", ["net2net", "tiling", "self-coupling"])
def test_the_child_starts_where_its_parent_is(images, tmp_path, family, method):
    train_protocol(protocol(images, tmp_path / "tiny", family, method))
    (stage,) = tmp_path.glob("tiny/stage1_*")
    (child,) = load_json(stage / "junction.json")["children"]
    assert child["parents"] == [child["ensemble"]] == [child["child"]]
    side_car = load_json(tmp_path / "tiny/tiny.json")
    assert side_car["method"] == method
    plan, ledger = (load_json(tmp_path / f"tiny/{name}.json") for name in ("plan", "ledger"))
    assert ledger["total_flops"] == pytest.approx(plan["total_flops"], rel=0.005)


@pytest.mark.parametrize("method, group", [("net2net-noise", 1), ("aki", 1), ("averaging", 2)])
def test_the_inexact_ones_train_too(images, tmp_path, method, group):
    stages = [dict(WIDEN[0], members=group), WIDEN[1]]
    train_protocol(protocol(images, tmp_path / "tiny", "deit", method, stages))
    assert (tmp_path / "tiny/tiny.pth").is_file()


def test_another_seed_draws_another_child(images, tmp_path):
    seeds = []
    for seed in (1, 2):
        cfg = protocol(images, tmp_path / f"tiny{seed}", "deit", "net2net")
        cfg.randomness.seed = seed
        train_protocol(cfg)
        (stage,) = tmp_path.glob(f"tiny{seed}/stage1_*")
        record = load_json(stage / "grown/0/growth.json")
        seeds.append(record["growth"]["seed"])
    assert seeds[0] != seeds[1]


@pytest.mark.parametrize(
    "stages, words",
    [
        ([dict(WIDEN[0], members=2), WIDEN[1]], r"net2net makes each child of one parent"),
        ([dict(WIDEN[0], width=1), WIDEN[1]], r"net2net widens; set a smaller stages\[0\].width"),
    ],
)
def test_stages_that_one_parent_cannot_serve(images, tmp_path, stages, words):
    with pytest.raises(PlanError, match=words):
        train_protocol(protocol(images, tmp_path / "tiny", "deit", "net2net", stages))
    assert not (tmp_path / "tiny").exists()


def test_a_width_that_the_operator_cannot_serve_is_refused_before_training(images, tmp_path):
    stages = [dict(WIDEN[0], width="3/4"), WIDEN[1]]
    with pytest.raises(GrowthError, match=r"LayerNorm .* 2, 3, \.\.\. times as wide"):
        train_protocol(protocol(images, tmp_path / "tiny", "deit", "net2net", stages))
    assert not list((tmp_path).glob("tiny/stage*"))
