"""Runs that are not staged, resumed: the run that it was, or a refusal that names what changed."""

import itertools
import json
import os
import re
import shutil
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from mmrbdc.datasets.made.scenes import make_scenes
from mmrbdc.engine.configs.loading import load_config
from mmrbdc.engine.launch import prepare_config, train
from mmrbdc.processes import EXIT_PREEMPTED
from mmrbdc.weights import read_checkpoint
from tests.engine.tiny_runs import ITERS_PER_EPOCH, MODELS, differing, load_json, staged

ROOT = Path(__file__).parents[3]
DETECTOR = ROOT / "configs" / "mask-rcnn_random-deit-micro_scenes.py"
EPOCHS = 3

_numbers = itertools.count()


@HOOKS.register_module()
class Bomb(Hook):
    """Ends a run at its iteration ``at``, by an exception or a signal."""

    def __init__(self, at, how):
        self.at, self.how = at, how

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter + 1 == self.at:
            if self.how == "SIGINT":
                raise KeyboardInterrupt
            raise RuntimeError("the roof fell in\nand more")


@pytest.fixture(scope="module")
def config(images, tmp_path_factory):
    """A file of an MMPretrain run of three epochs, in which nothing is drawn but the images' order,
    and of a few groups of parameters."""
    place = tmp_path_factory.mktemp("config")
    cfg = staged(images, place)
    for key in ("protocol", "stages", "runner_type", "work_dir"):
        cfg.pop(key)
    backbone = dict(MODELS["deit"]["backbone"], drop_path_rate=0.0)
    cfg.model = dict(MODELS["deit"], backbone=backbone)
    for split in ("train", "val", "test"):
        cfg[f"{split}_dataloader"].update(
            collate_fn=dict(type="default_collate"), persistent_workers=False
        )
    cfg.train_dataloader.dataset.pipeline = cfg.val_dataloader.dataset.pipeline
    cfg.train_cfg = dict(by_epoch=True, max_epochs=EPOCHS, val_interval=1)
    cfg.param_scheduler = [dict(type="CosineAnnealingLR", T_max=EPOCHS, eta_min=1e-5)]
    cfg.auto_scale_lr = dict(base_batch_size=64, enable=False)
    cfg.dump(str(place / "plain.py"))
    return place / "plain.py"


def train_plain(config, work_dir, resume=False, auto_scale_lr=False, **options):
    """Train a config as tools/train.py does; ``options`` have ``__`` for the dots of a key."""
    cfg = prepare_config(
        load_config(str(config)),
        options={key.replace("__", "."): value for key, value in options.items()},
        work_dir=str(work_dir),
        resume=resume,
        auto_scale_lr=auto_scale_lr,
    )
    cfg.experiment_name = f"plain{next(_numbers)}"  # MMEngine's keeps seconds apart, no less
    train(cfg)
    return work_dir


@pytest.fixture
def run(config, tmp_path):
    """Trains the config in a folder of that name, and returns it."""

    def go(name="run", **options):
        return train_plain(config, tmp_path / name, **options)

    return go


def stopped(config, folder, at=ITERS_PER_EPOCH + 2, how="error", **options):
    """A run that ended in its second epoch, or elsewhere, and has forgotten by what."""
    bomb = [dict(type="Bomb", at=at, how=how)]
    with pytest.raises(KeyboardInterrupt if how == "SIGINT" else RuntimeError):
        train_plain(config, folder, custom_hooks=bomb, **options)
    record = folder / "train_config.json"
    record.write_text(json.dumps({**load_json(record), "custom_hooks": None}))


@pytest.fixture(scope="module")
def ended_early(config, tmp_path_factory):
    place = tmp_path_factory.mktemp("broken") / "run"
    stopped(config, place)
    return place


@pytest.fixture(scope="module")
def whole(config, tmp_path_factory):
    return train_plain(config, tmp_path_factory.mktemp("whole"))


@pytest.fixture
def broken(ended_early, tmp_path):
    """A run whose machine died in its second epoch."""
    return Path(shutil.copytree(ended_early, tmp_path / "run"))


def log_of(folder):
    return "".join(path.read_text() for path in sorted(folder.glob("2*/*.log")))


def weights(folder):
    return read_checkpoint(folder / f"epoch_{EPOCHS}.pth").state_dict


def test_it_ends_with_the_weights_of_an_unbroken_run(run, broken, whole):
    assert read_checkpoint(broken / "epoch_1.pth")
    run(resume=True, log_level="INFO")
    assert differing(weights(broken), weights(whole)) == []
    records = [load_json(folder / "train_config.json") for folder in (broken, whole)]
    for record in records:
        for key in ("work_dir", "custom_hooks", "experiment_name", "cfg_options", "log_level"):
            record.pop(key, None)
    assert records[0] == records[1]
    assert records[0]["load_from"] is None and records[0]["world_size"] == 1
    assert f"resuming from {broken / 'epoch_1.pth'}" in log_of(broken)


def test_another_learning_rate_would_have_shown(run, whole):
    """The twin of the test above: the comparison of weights can fail."""
    other = run("other", optim_wrapper__optimizer__lr=0.02)
    assert len(differing(weights(other), weights(whole))) > 20


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"optim_wrapper__optimizer__weight_decay": 0.1}, "weight_decay: 0.05 -> 0.1"),
        ({"optim_wrapper__accumulative_counts": 2}, "accumulative_counts: None -> 2"),
        ({"train_dataloader__batch_size": 4}, "train_dataloader.batch_size: 8 -> 4"),
        ({"train_cfg__max_epochs": 5}, "train_cfg.max_epochs: 3 -> 5"),
        ({"param_scheduler__0__T_max": 9}, "param_scheduler.0.T_max: 3 -> 9"),
        ({"model__head__loss__label_smooth_val": 0.2}, "label_smooth_val: 0.1 -> 0.2"),
        ({"randomness__seed": 1}, "randomness.seed: 5 -> 1"),
        ({"data_preprocessor__std": [1.0, 2.0, 3.0]}, "data_preprocessor.std.0: 50.0 -> 1.0"),
        ({"load_from": "elsewhere.pth"}, "load_from: None -> 'elsewhere.pth'"),
        ({"auto_scale_lr": True}, "auto_scale_lr: None -> "),
        ({"custom_hooks": [dict(type="EMAHook", momentum=0.1)]}, "custom_hooks: "),
        ({"train_dataloader__dataset__data_prefix": "val"}, "data_prefix: 'train' -> 'val'"),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_what_decides_the_weights_may_not_change(run, broken, options, words):
    before = {path: path.read_bytes() for path in broken.rglob("*") if path.is_file()}
    with pytest.raises(ValueError) as refused:
        run(resume=True, **options)
    message = str(refused.value)
    assert words in message and str(broken) in message and "train_config.json" in message
    assert f"load_from={broken / 'epoch_1.pth'}" in message
    assert {path: path.read_bytes() for path in broken.rglob("*") if path.is_file()} == before


def test_what_changes_nothing_may_change(run, broken):
    run(
        resume=True,
        train_dataloader__num_workers=1,
        val_dataloader__batch_size=2,
        default_hooks__logger__interval=1,
        default_hooks__checkpoint__interval=2,
        train_cfg__val_interval=3,
        log_level="INFO",
    )
    assert load_json(broken / "train_config.json")["train_cfg"]["val_interval"] == 3


def test_other_images_are_another_run(run, broken, images, tmp_path):
    """An image that is gone; a record of a version that did not keep their names is taken."""
    image = next((images / "train").rglob("*.png"))
    image.rename(tmp_path / image.name)
    record = broken / "train_config.json"
    try:
        with pytest.raises(ValueError, match=r"its images have other names now") as refused:
            run(resume=True)
        assert f"'{images}/train" in str(refused.value) and str(broken) in str(refused.value)
        content = load_json(record)
        del content["train_files"]
        record.write_text(json.dumps(content))
        run(resume=True)
    finally:
        (tmp_path / image.name).rename(image)


def test_another_number_of_processes_is_named(run, broken):
    record = broken / "train_config.json"
    record.write_text(json.dumps({**load_json(record), "world_size": 8}))
    with pytest.raises(ValueError, match="world_size: 8 -> 1"):
        run(resume=True)


def test_longer_is_another_run_from_its_weights(run, whole, tmp_path):
    """The way that the refusal names works, and both records say what was done."""
    first = Path(shutil.copytree(whole, tmp_path / "first"))
    with pytest.raises(ValueError, match=r"max_epochs: 3 -> 4") as refused:
        run("first", resume=True, train_cfg__max_epochs=4)
    (found,) = re.findall(r"load_from=(\S+)", str(refused.value))
    second = run("second", load_from=found, train_cfg__max_epochs=4)
    assert load_json(second / "train_config.json")["load_from"] == found
    assert load_json(second / "train_config.json")["train_cfg"]["max_epochs"] == 4
    assert load_json(first / "train_config.json")["train_cfg"]["max_epochs"] == EPOCHS


def test_what_it_was_begun_from_stays_recorded(run, config, whole, tmp_path):
    start = str(whole / f"epoch_{EPOCHS}.pth")
    stopped(config, tmp_path / "run", load_from=start)
    run(resume=True, load_from=start)
    record = load_json(tmp_path / "run" / "train_config.json")
    assert record["load_from"] == start and record["resume"] is False
    with pytest.raises(ValueError, match="load_from: .* -> None"):
        run(resume=True)


def test_a_work_dir_of_the_version_before(run, broken, config):
    """What MMEngine dumped serves in the place of the record."""
    (broken / "train_config.json").unlink()
    dumped = Config.fromfile(broken / config.name)
    dumped.custom_hooks = None
    dumped.dump(str(broken / config.name))
    with pytest.raises(ValueError, match=r"optimizer.lr: 0.01 -> 0.5") as refused:
        run(resume=True, optim_wrapper__optimizer__lr=0.5)
    assert config.name in str(refused.value)
    run(resume=True)
    assert (broken / "train_config.json").is_file()


def test_a_dump_that_testing_wrote_again_is_passed_over(run, broken, config):
    (broken / "train_config.json").unlink()
    kept = next(broken.glob("2*/vis_data/config.py"))
    for path in (broken / config.name, kept):
        dumped = Config.fromfile(path)
        dumped.custom_hooks = None
        if path != kept:
            dumped.optim_wrapper = dumped.train_cfg = None
        dumped.dump(str(path))
    with pytest.raises(ValueError, match=r"optimizer.lr: 0.01 -> 0.5"):
        run(resume=True, optim_wrapper__optimizer__lr=0.5)
    kept.unlink()
    run(resume=True)
    assert f"{broken} does not say with what config its run was started" in log_of(broken)


def test_a_damaged_record_is_named(run, broken):
    (broken / "train_config.json").write_text('{"model": ')
    with pytest.raises(ValueError, match=r"train_config.json is damaged.*remove it"):
        run(resume=True)


def test_nothing_to_resume_is_said(run, tmp_path):
    folder = run("empty", resume=True, log_level="INFO")
    assert f"nothing to resume in {folder}: starting anew" in log_of(folder)


def test_nothing_is_said_where_nothing_was_asked(ended_early):
    assert "nothing to resume" not in log_of(ended_early) and "resuming" not in log_of(ended_early)


def test_damaged_checkpoints_are_told_where_it_starts_anew(run, broken):
    newest = broken / "epoch_1.pth"
    os.truncate(newest, newest.stat().st_size // 2)
    run(resume=True, log_level="INFO")
    log = log_of(broken)
    assert f"passing over {newest}" in log and f"nothing to resume in {broken}" in log


@pytest.mark.parametrize(
    ("how", "at", "words"),
    [
        ("error", 2, "ended by RuntimeError: the roof fell in after 1 of 9 iterations; "),
        ("error", 8, "ended by RuntimeError: the roof fell in after 7 of 9 iterations; "),
        ("SIGINT", 5, "interrupted (SIGINT) after 4 of 9 iterations; "),
    ],
)
def test_an_end_before_the_end_is_logged(config, tmp_path, how, at, words):
    folder = tmp_path / "run"
    stopped(config, folder, at, how)
    whole = (at - 1) // ITERS_PER_EPOCH
    newest = f"{folder}/epoch_{whole}.pth; --resume goes on" if whole else "none"
    assert f"{words}newest checkpoint: {newest}" in log_of(folder)
    assert log_of(folder).count("newest checkpoint") == 1


def test_base_lr_in_the_log_is_scaled_as_lr_is(run, tmp_path):
    """In every step of the schedule; 8 images of a base batch of 64."""

    def rates(folder):
        lines = (next(folder.glob("2*/vis_data/scalars.json"))).read_text().splitlines()
        steps = [json.loads(line) for line in lines if '"lr"' in line]
        return [(step["lr"], step["base_lr"]) for step in steps]

    more = {"default_hooks__logger__interval": 1, "param_scheduler__0__eta_min": 0}
    plain = rates(run("plain", **more))
    scaled = rates(run("scaled", auto_scale_lr=True, **more))
    assert len(plain) == len(scaled) == EPOCHS * ITERS_PER_EPOCH
    for (lr, base), (scaled_lr, scaled_base) in zip(plain, scaled, strict=True):
        assert scaled_base == scaled_lr and base == lr
        assert scaled_lr == pytest.approx(lr / 8, abs=0.6e-5)  # the file has five decimals


KILLER = """
import os, runpy, signal, sys

import mmrbdc.engine.hooks.checkpoint as hooks

commit = hooks.commit


def commit_and_end(*paths):
    commit(*paths)
    os.kill(os.getpid(), signal.SIGTERM)


hooks.commit = commit_and_end
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture
def detector(tiny, tmp_path):
    """Trains a Mask R-CNN of two epochs of two iterations, and returns what it printed."""
    make_scenes(tmp_path / "scenes", counts=dict(train=4, val=1, test=1))
    options = {
        "train_cfg.max_epochs": 2,
        "train_dataloader.batch_size": 2,
        "val_evaluator.ann_file": tmp_path / "scenes/annotations/instances_val.json",
        "test_evaluator.ann_file": tmp_path / "scenes/annotations/instances_test.json",
    }
    for split in ("train", "val", "test"):
        options |= {
            f"{split}_dataloader.num_workers": 0,
            f"{split}_dataloader.persistent_workers": False,
            f"{split}_dataloader.dataset.data_root": tmp_path / "scenes",
        }

    def go(*before, code=0, **changes):
        pairs = [f"{k.replace('__', '.')}={v}" for k, v in {**options, **changes}.items()]
        where = ["--work-dir", tmp_path / "run", "--resume", "--cfg-options", *pairs]
        tiny.fork(*before, ROOT / "tools" / "train.py", DETECTOR, *where, code=code)
        return (tiny.place / "fork.log").read_text()

    return go


def test_a_detector_as_in_a_shell(detector, tmp_path):
    """SIGTERM behind its first epoch, then another lr, batch and length, then as it was."""
    folder, killer = tmp_path / "run", tmp_path / "killer.py"
    killer.write_text(KILLER)
    detector(killer, code=EXIT_PREEMPTED)
    log = log_of(folder)
    assert f"nothing to resume in {folder}: starting anew" in log
    newest = folder / "epoch_1_iter_1.pth"
    assert f"SIGTERM: wrote {newest} and stopping; --resume goes on from iteration 3" in log

    changes = dict(
        train_cfg__max_epochs=4,
        optim_wrapper__optimizer__lr=1e-2,
        train_dataloader__batch_size=4,
        model__test_cfg__rcnn__score_thr=0.5,
    )
    message = detector(code=2, **changes).partition("error: ")[2]
    assert "train_cfg.max_epochs: 2 -> 4" in message and "batch_size: 2 -> 4" in message
    assert "lr: 0.001 -> 0.01" in message and "score_thr" not in message

    annotations = tmp_path / "scenes/annotations/instances_train.json"
    before = annotations.read_bytes()
    content = json.loads(before)
    content["annotations"].pop()
    annotations.write_text(json.dumps(content))
    message = detector(code=2).partition("error: ")[2]
    assert f"trained on '{annotations}'" in message and "its content is another now" in message
    annotations.write_bytes(before)

    detector(model__test_cfg__rcnn__score_thr=0.5)
    record = load_json(folder / "train_config.json")
    assert record["train_cfg"]["max_epochs"] == 2 and record["load_from"] is None
    assert load_json(folder / "cost.json")["iterations"] == 4
