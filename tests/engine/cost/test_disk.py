"""What a protocol writes, forecast and refused where its disk has no room for it."""

import shutil
from types import SimpleNamespace

import pytest

from mmrbdc.engine.cost import disk
from mmrbdc.engine.cost.disk import check_room, protocol_bytes, stages_disk
from mmrbdc.plan import PlanError
from tests.engine.tiny_runs import staged, stages_of, train_protocol


@pytest.fixture
def protocol(images, tmp_path):
    """Of members that are large enough for their numbers to outweigh their names."""
    cfg = staged(images, tmp_path / "run")
    cfg.model.backbone.arch.update(embed_dims=192, feedforward_channels=768, num_heads=6)
    cfg.model.head.in_channels = 192
    return cfg


def held(folder, *patterns):
    return sum(path.stat().st_size for pattern in patterns for path in folder.rglob(pattern))


@pytest.mark.parametrize("ema", [False, True])
def test_what_is_forecast_is_written(protocol, tmp_path, ema):
    if ema:
        protocol.custom_hooks = [dict(type="EMAHook", momentum=0.1)]
    plan, _ = stages_of(protocol)
    stages = list(stages_disk(protocol, plan))
    train_protocol(protocol)
    for stage in stages:
        folder = tmp_path / "run" / stage.name
        assert held(folder, "epoch_*.pth") == pytest.approx(stage.checkpoints, rel=0.1)
        files = held(folder / "members", "*.pth") + held(folder / "grown", "*.pth")
        assert files == pytest.approx(stage.files, rel=0.1)
    whole = held(tmp_path / "run", "*.pth", "*.safetensors")
    largest = max(stage.passing for stage in stages)
    assert whole == pytest.approx(protocol_bytes(protocol, plan) - largest, rel=0.1)


@pytest.mark.parametrize("room, refused", [(0.5, True), (2, False)])
def test_a_protocol_is_not_begun_without_room(protocol, tmp_path, monkeypatch, room, refused):
    plan, _ = stages_of(protocol)
    free = room * protocol_bytes(protocol, plan)
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    if not refused:
        assert train_protocol(protocol).is_file()
        return
    words = r"run will hold .*B of weights in .*/run.* its disk has .*max_keep_ckpts=1"
    with pytest.raises(PlanError, match=words):
        train_protocol(protocol)
    assert not list((tmp_path / "run").rglob("*.pth"))


def test_nor_a_stage_once_others_have_filled_the_disk(protocol, tmp_path, monkeypatch):
    """What is there is kept, and with room the protocol goes on."""
    real = shutil.disk_usage

    def full(path):
        trained = (tmp_path / "run" / "stage0_2x96" / "members" / "1.pth").is_file()
        return SimpleNamespace(free=1000) if trained else real(path)

    with monkeypatch.context() as patch, pytest.raises(PlanError, match="^stage1_1x192 will hold"):
        patch.setattr(disk.shutil, "disk_usage", full)
        train_protocol(protocol)
    assert (tmp_path / "run" / "stage0_2x96" / "members" / "0.pth").is_file()
    assert train_protocol(protocol, resume=True).is_file()


def test_what_is_there_already_needs_no_room(tmp_path, monkeypatch):
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda path: SimpleNamespace(free=400))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "epoch_1.pth").write_bytes(bytes(600))
    check_room(tmp_path / "run", 1000, "it")
    with pytest.raises(PlanError, match=r"1\.01 kB of weights .* 600 B are there.* 400 B left"):
        check_room(tmp_path / "run", 1010, "it")
    with pytest.raises(PlanError, match="0 B are there"):
        check_room(tmp_path / "other" / "run", 1010, "it")
