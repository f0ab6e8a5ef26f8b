"""Checkpoints survive what kills the process, and are read without unpickling code."""

import logging
import shutil
from pathlib import Path

import pytest
import torch
from mmengine.runner import Runner

from mmrbdc.engine.hooks import checkpoint as checkpoint_hook
from mmrbdc.engine.hooks.checkpoint import newest_readable_checkpoint, numbered_checkpoints
from mmrbdc.weights import WeightsError, read_checkpoint
from tests.engine.tiny_runs import differing, one_stage, stage_run, train

LOGGER = logging.getLogger(__name__)
EMA = dict(type="EMAHook", momentum=0.3)


def config(images, work_dir, epochs=3, ema=False, **checkpoint):
    cfg = one_stage(images, work_dir, members=2, overrides=dict(epochs=epochs))
    cfg.default_hooks.checkpoint.update(checkpoint)
    cfg.custom_hooks = [EMA] if ema else []
    return stage_run(cfg)


@pytest.fixture(scope="module", params=[False, True], ids=["raw", "ema"])
def finished(request, images, tmp_path_factory):
    """The config of a finished run of three epochs that keeps all its checkpoints."""
    work_dir = tmp_path_factory.mktemp("finished")
    run = config(images, work_dir, ema=request.param, max_keep_ckpts=-1)
    run.final = train(run).model.state_dict()
    return run


def resume(run, epoch, folder, change=None):
    """Resume a run's config from one epoch's checkpoint, changed by ``change``."""
    source = Path(run.work_dir) / f"epoch_{epoch}.pth"
    folder.mkdir()
    content = torch.load(source, weights_only=True)
    if change is not None:
        change(content)
    torch.save(content, folder / source.name)
    run = run.copy()
    run.pop("final", None)
    run.load_from, run.resume, run.work_dir = str(folder / source.name), True, str(folder)
    run.experiment_name = folder.name
    return run


def test_a_checkpoint_is_read_with_no_allow_list(finished):
    content = torch.load(Path(finished.work_dir) / "epoch_2.pth", weights_only=True)
    assert content["meta"]["epoch"] == 2 and content["meta"]["iter"] == 6
    assert {"optimizer", "param_schedulers", "message_hub"} <= content.keys()
    assert content["message_hub"]["log_scalars"] == {}
    assert ("ema_state_dict" in content) == bool(finished.custom_hooks)


def test_twin_mmengines_own_needs_one(images, tmp_path):
    run = config(images, tmp_path, epochs=1, type="CheckpointHook")
    train(run)
    with pytest.raises(Exception, match="weights_only|WeightsUnpickler|Unsupported"):
        torch.load(Path(run.work_dir) / "epoch_1.pth", weights_only=True)


@pytest.mark.parametrize("epoch", [1, 2])
def test_a_resumed_run_ends_in_the_same_weights(finished, tmp_path, epoch):
    final = train(resume(finished, epoch, tmp_path / "resumed")).model.state_dict()
    assert not differing(final, finished.final)
    last = [
        torch.load(Path(folder) / "epoch_3.pth", weights_only=True)
        for folder in (finished.work_dir, tmp_path / "resumed")
    ]
    for key in ("state_dict", "ema_state_dict"):
        if key in last[0]:
            assert not differing(last[0][key], last[1][key])
    moments = [checkpoint["optimizer"]["state"] for checkpoint in last]
    for one, other in zip(moments[0].values(), moments[1].values(), strict=True):
        assert not differing(one, other)


def test_twin_a_lost_optimizer_state_shows(finished, tmp_path):
    run = resume(finished, 2, tmp_path / "lost", lambda content: content.pop("optimizer"))
    assert differing(train(run).model.state_dict(), finished.final)


@pytest.mark.parametrize("keep, left", [(1, [3]), (2, [2, 3]), (5, [1, 2, 3]), (-1, [1, 2, 3])])
def test_as_many_are_kept_as_the_config_says(images, tmp_path, keep, left):
    run = config(images, tmp_path, max_keep_ckpts=keep)
    train(run)
    assert sorted(p.name for p in Path(run.work_dir).glob("*.pth")) == [
        f"epoch_{i}.pth" for i in left
    ]
    assert (Path(run.work_dir) / "last_checkpoint").read_text().endswith("epoch_3.pth")
    assert not list(Path(run.work_dir).rglob("*.tmp"))


def test_two_are_kept_by_default(images, tmp_path):
    run = config(images, tmp_path)
    train(run)
    assert len(list(Path(run.work_dir).glob("*.pth"))) == 2


def test_the_old_one_is_dropped_only_when_the_new_one_is_whole(images, tmp_path, monkeypatch):
    """Until the new file has its name, the old one has its own; a failed write changes nothing."""
    run = config(images, tmp_path, max_keep_ckpts=1)
    folder = Path(run.work_dir)
    commit, found = checkpoint_hook.commit, []

    def watched_commit(partial, path):
        found.append([p.name for p in folder.glob("*.pth")])
        torch.load(partial, weights_only=True)  # whole, before it gets the name
        if path.name == "epoch_3.pth":
            raise OSError("no space left")
        commit(partial, path)

    monkeypatch.setattr(checkpoint_hook, "commit", watched_commit)
    with pytest.raises(OSError, match="no space left"):
        train(run)
    assert found == [[], ["epoch_1.pth"], ["epoch_2.pth"]]
    assert newest_readable_checkpoint(folder, LOGGER) == folder / "epoch_2.pth"
    assert (folder / "last_checkpoint").read_text().endswith("epoch_2.pth")


def test_a_damaged_file_of_a_higher_number_drives_no_good_one_out(images, tmp_path):
    """It was passed over on resume, and is written again when the run gets there."""
    run = config(images, tmp_path, max_keep_ckpts=1)
    folder = Path(run.work_dir)
    folder.mkdir()
    (folder / "epoch_9.pth").write_bytes(b"PK\x03\x04")
    train(run)
    assert sorted(p.name for p in folder.glob("*.pth")) == ["epoch_3.pth", "epoch_9.pth"]
    assert newest_readable_checkpoint(folder, LOGGER) == folder / "epoch_3.pth"


def test_the_newest_is_the_highest_number(tmp_path):
    for name in (
        "epoch_2.pth",
        "epoch_10.pth",
        "epoch_x.pth",
        "best_epoch_11.pth",
        ".epoch_12.pth.tmp",
    ):
        (tmp_path / name).write_bytes(b"")
    found = numbered_checkpoints(tmp_path, "epoch_{}.pth")
    assert found == [((10, 0), tmp_path / "epoch_10.pth"), ((2, 0), tmp_path / "epoch_2.pth")]


def test_a_damaged_newest_is_passed_over_and_left_alone(finished, tmp_path, caplog):
    for number in (1, 2, 3):
        shutil.copy(Path(finished.work_dir) / f"epoch_{number}.pth", tmp_path)
    newest = tmp_path / "epoch_3.pth"
    content = newest.read_bytes()
    newest.write_bytes(content[: len(content) // 2])
    (tmp_path / "epoch_2.pth").write_bytes(b"")
    (tmp_path / "last_checkpoint").write_text(str(newest))
    with caplog.at_level("WARNING"):
        assert newest_readable_checkpoint(tmp_path, LOGGER) == tmp_path / "epoch_1.pth"
    assert "epoch_3.pth is truncated" in caplog.text and "epoch_2.pth is empty" in caplog.text
    assert newest.exists()


def test_a_checkpoint_with_foreign_code_is_passed_over(finished, tmp_path):
    class Code:
        def __reduce__(self):
            return print, ("ran",)

    shutil.copy(Path(finished.work_dir) / "epoch_1.pth", tmp_path)
    torch.save(dict(state_dict=Code()), tmp_path / "epoch_2.pth")
    assert newest_readable_checkpoint(tmp_path, LOGGER) == tmp_path / "epoch_1.pth"


@pytest.mark.parametrize("folder", [".", "not there"])
def test_a_folder_without_checkpoints_has_no_newest(tmp_path, folder):
    assert newest_readable_checkpoint(tmp_path / folder, LOGGER) is None


def widen(content):
    name = "members.1.backbone.pos_embed"
    for key in ("state_dict", "ema_state_dict"):
        if key in content:
            prefix = "module." if key.startswith("ema") else ""
            content[key][prefix + name] = torch.zeros(1, 5, 16)


def drop(content):
    for key in ("state_dict", "ema_state_dict"):
        if key in content:
            prefix = "module." if key.startswith("ema") else ""
            del content[key][prefix + "members.0.backbone.cls_token"]


def add(content):
    content["state_dict"]["members.2.backbone.cls_token"] = torch.zeros(1, 1, 8)


@pytest.mark.parametrize(
    "change, message",
    [
        (widen, r"members.1.backbone.pos_embed: .*1, 5, (8|16)\b.*1, 5, (8|16)\b"),
        (drop, r"members.0.backbone.cls_token: model \(1, 1, 8\), checkpoint absent"),
        (add, r"members.2.backbone.cls_token: model absent, checkpoint \(1, 1, 8\)"),
    ],
)
def test_a_checkpoint_of_another_model_is_refused(finished, tmp_path, change, message):
    """Under EMAHook, which loads first, MMEngine is the one that refuses another shape."""
    run = resume(finished, 1, tmp_path / "other", change)
    errors = (WeightsError, RuntimeError) if finished.custom_hooks else WeightsError
    with pytest.raises(errors, match=message):
        Runner.from_cfg(run).train()


def test_fine_tuning_may_start_from_another_model(finished, tmp_path):
    """``load_from`` without ``resume`` is MMEngine's own matter."""
    run = resume(finished, 1, tmp_path / "tuned", drop)
    run.resume = False
    run.train_cfg.max_iters = 1
    assert train(run).iter == 1


def test_raw_and_average_are_told_apart(finished):
    """In a file written under EMAHook the ``state_dict`` is the average."""
    path = Path(finished.work_dir) / "epoch_3.pth"
    if not finished.custom_hooks:
        assert not differing(read_checkpoint(path).state_dict, finished.final)
        return
    with pytest.raises(WeightsError, match="choose"):
        read_checkpoint(path)
    assert not differing(read_checkpoint(path, weights="raw").state_dict, finished.final)
    assert differing(read_checkpoint(path, weights="ema").state_dict, finished.final)


@pytest.mark.parametrize("resumed", [True, False])
@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_weights_that_are_no_numbers_do_not_enter(finished, tmp_path, resumed, value):
    """Neither by ``--resume`` nor by ``load_from``."""

    def spoil(content):
        content["state_dict"]["members.1.backbone.pos_embed"][0, 1] = value

    run = resume(finished, 2, tmp_path / f"spoiled-{resumed}-{value}", spoil)
    run.resume = resumed
    with pytest.raises(
        WeightsError,
        match=r"epoch_2\.pth, not loaded: (module\.)?members\.1\.backbone\.pos_embed has 8 ",
    ):
        train(run)
