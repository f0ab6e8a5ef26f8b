"""A detector of which more and more trains: what is frozen stays, resuming ends the same."""

import copy
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.parallel import DistributedDataParallel
from torch.utils.flop_counter import FlopCounterMode

from mmrbdc.datasets.made.scenes import make_scenes
from mmrbdc.engine import launch
from mmrbdc.engine.hooks.preemption import PreemptionHook
from mmrbdc.engine.launch import train
from mmrbdc.engine.process.signals import Preempted
from mmrbdc.engine.unfreezing.hook import FILE_NAME, _check_optimizer, _check_wrapper
from mmrbdc.models.wrappers import unwrapped
from mmrbdc.weights import read_checkpoint
from tests.engine import plain_detectors
from tests.engine.tiny_runs import differing

ROOT = Path(__file__).parents[3]
EPOCHS, ITERS = 2, 4

pytestmark = pytest.mark.filterwarnings("ignore:pkg_resources")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("unfreezing")
    make_scenes(root / "data" / "digit_scenes", counts=dict(train=2 * ITERS, val=2, test=1))
    return root


@pytest.fixture(autouse=True)
def _there(place, monkeypatch):
    monkeypatch.chdir(place)


@HOOKS.register_module(force=True)
class WatchHook(Hook):
    """Notes every step: what changed, what had gradients, its FLOPs by torch's counter."""

    priority = "VERY_LOW"
    steps: list

    def before_train(self, runner):
        type(self).steps = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        model = unwrapped(runner.model)
        self.before = {n: t.detach().clone() for n, t in model.state_dict().items()}
        # Torch's counter does not know the kernel with which a CPU attends.
        self.counting = ExitStack()
        self.counting.enter_context(sdpa_kernel(SDPBackend.MATH))
        self.counter = self.counting.enter_context(FlopCounterMode(display=False))

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.counting.close()
        model = unwrapped(runner.model)
        now = model.state_dict()
        self.steps.append(
            dict(
                changed={n for n, t in self.before.items() if not torch.equal(t, now[n])},
                trained={n for n, p in model.named_parameters() if p.requires_grad},
                graded={n for n, p in model.named_parameters() if p.grad is not None},
                state={id(p) for p in runner.optim_wrapper.optimizer.state},
                ids={n: id(p) for n, p in model.named_parameters()},
                flops=self.counter.get_total_flops(),
            )
        )


def config(folder, name="deit", hook=None, watch=False, **options):
    # The images of a batch are of one size, and nothing is drawn of it.
    plain_detectors.NAME = f"mask-rcnn_random-{name}-micro_scenes"
    try:
        options = {"train_cfg.max_epochs": EPOCHS, "train_cfg.val_interval": 9, **options}
        cfg = plain_detectors.config(folder, **options)
    finally:
        plain_detectors.NAME = "mask-rcnn_random-resnet-micro_scenes"
    cfg.custom_hooks.append(dict(type="mmrbdc.UnfreezeHook", **(hook or {})))
    if watch:
        cfg.custom_hooks.append(dict(type="WatchHook"))
    return cfg


def _block(name):
    found = re.match(r"backbone\.layers\.(\d+)\.", name)
    return int(found[1]) if found else None


@pytest.mark.parametrize("kind", ["interleaved", "last"])
def test_what_is_frozen_is_bit_identical_and_thaws_stage_by_stage(tmp_path, kind):
    train(config(tmp_path / "run", hook=dict(kind=kind), watch=True))
    steps = WatchHook.steps
    assert len(steps) == EPOCHS * ITERS
    depth = 1 + max(_block(name) or 0 for name in steps[0]["ids"])
    for number, step in enumerate(steps):
        level = 1 + number * 4 // len(steps)
        for name in step["ids"]:
            block = _block(name)
            if block is None:
                embeds = kind == "last" and name.startswith("backbone.") and "ln1" not in name
                trains = not embeds or level == 4
            elif kind == "interleaved":
                trains = block % 4 < level
            else:
                trains = block >= depth * (4 - level) // 4
            assert (name in step["trained"]) is trains, (number, name)
        assert step["graded"] <= step["trained"] and step["changed"] <= step["trained"]
        # The state of what was frozen begins when it thaws.
        known = {name for name, key in step["ids"].items() if key in step["state"]}
        assert known <= step["trained"]
    assert any(_block(name) == 3 for name in steps[-1]["changed"])
    record = json.loads((tmp_path / "run" / FILE_NAME).read_text())
    assert [stage["level"] for stage in record["stages"]] == [1, 2, 3, 4]
    assert [stage["begins"] for stage in record["stages"]] == [0, 2, 4, 6]
    assert record["stages"][-1]["trained_parameters"] == record["parameters"]


def test_norms_of_frozen_blocks_keep_their_statistics(tmp_path):
    train(config(tmp_path / "run", "resnet", dict(levels=[1, 2], parts=2), watch=True))
    first, last = WatchHook.steps[0], WatchHook.steps[-1]
    norms = {n for n in first["changed"] | last["changed"] if n.endswith("running_mean")}
    moved = {n for n in norms if n in first["changed"]}
    assert moved and moved < norms
    for name in norms - moved:
        weight = name.replace("running_mean", "weight")
        assert weight not in first["trained"] and weight in last["trained"]


@pytest.mark.parametrize("kind", ["interleaved", "last"])
def test_the_flops_counted_are_torchs_own(tmp_path, kind):
    """Summed over the real steps, though what trains changes."""
    train(config(tmp_path / "run", hook=dict(kind=kind), watch=True))
    counted = json.loads((tmp_path / "run" / "cost.json").read_text())["train_flops"]
    real = sum(step["flops"] for step in WatchHook.steps)
    assert counted == pytest.approx(real, rel=0.01)


def test_every_level_is_counted(tmp_path):
    """Where the run's few samples would have met one level."""
    cfg = config(tmp_path / "run", hook=dict(kind="last"), watch=True)
    (cost,) = [hook for hook in cfg.custom_hooks if hook["type"] == "mmrbdc.DetectorCostHook"]
    cost["samples"] = 1
    train(cfg)
    found = json.loads((tmp_path / "run" / "cost.json").read_text())
    assert found["counted_iterations"] == 4
    real = sum(step["flops"] for step in WatchHook.steps)
    assert found["train_flops"] == pytest.approx(real, rel=0.1)  # proposals come and go


def _sigterm(monkeypatch, at):
    class SigtermAt(PreemptionHook):
        def before_train_iter(self, runner, batch_idx, data_batch=None):
            if runner.iter + 1 == at:
                os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(launch, "PreemptionHook", SigtermAt)


def test_a_run_that_is_stopped_anywhere_ends_the_same(tmp_path, monkeypatch):
    train(config(tmp_path / "whole"))
    whole = read_checkpoint(tmp_path / "whole" / f"epoch_{EPOCHS}.pth").state_dict
    for at in (3, 6):
        folder = tmp_path / f"stopped{at}"
        with monkeypatch.context() as patch:
            _sigterm(patch, at)
            with pytest.raises(Preempted):
                train(config(folder))
        train(config(folder, resume=True))
        found = read_checkpoint(folder / f"epoch_{EPOCHS}.pth").state_dict
        assert differing(found, whole) == []


def test_another_schedule_is_no_resuming(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        _sigterm(patch, 3)
        with pytest.raises(Preempted):
            train(config(tmp_path / "run"))
    shutil.copytree(tmp_path / "run", tmp_path / "other")
    with pytest.raises(ValueError, match="levels"):
        train(config(tmp_path / "run", hook=dict(levels=[2, 3, 4]), resume=True))
    # Whoever has no record of the config has the hook's own.
    (tmp_path / "other" / "train_config.json").unlink()
    path = tmp_path / "other" / FILE_NAME
    content = json.loads(path.read_text())
    path.write_text(json.dumps(dict(content, kind="last")))
    with pytest.raises(ValueError, match="began with kind='last', now it is 'interleaved'"):
        train(config(tmp_path / "other", resume=True))


@pytest.mark.parametrize(
    ("name", "hook", "options", "message"),
    [
        ("deit", dict(parts=9, levels=[1, 9]), {}, r"parts=9\): the backbone has \d+ blocks"),
        ("deit", {}, {"model.backbone.frozen_stages": 1}, "is frozen already"),
        ("resnet", {}, {"model.backbone.policy": "frozen"}, "is frozen already"),
        ("deit", dict(levels=[1, 2, 3, 4] * 3, parts=4), {}, "fall"),
        ("deit", dict(begins=[0, 0.01, 0.02, 0.03]), {}, "some would have none"),
    ],
)
def test_what_is_refused_before_a_step(tmp_path, name, hook, options, message):
    with pytest.raises(ValueError, match=message):
        train(config(tmp_path / "run", name, hook, **options))
    assert not list((tmp_path / "run").glob("*.pth"))


def test_an_optimizer_that_leaves_parameters_out_is_refused():
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    optimizer = torch.optim.SGD(model[0].parameters(), lr=0.1)
    runner = SimpleNamespace(optim_wrapper=SimpleNamespace(optimizer=optimizer))
    with pytest.raises(ValueError, match="does not hold 1.weight, 1.bias, which would never train"):
        _check_optimizer(runner, model)


@pytest.mark.parametrize("reentrant", [True, False])
def test_reentrant_checkpoints_under_several_processes_are_refused(reentrant):
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        model = torch.nn.Module()
        model.backbone = torch.nn.Linear(2, 2)
        model.backbone.with_cp = True
        model.backbone.checkpoints_reentrantly = reentrant
        wrapped = DistributedDataParallel(model, find_unused_parameters=True)
        if reentrant:
            with pytest.raises(ValueError, match="with_cp=True of a Linear .*leave with_cp out"):
                _check_wrapper(wrapped, model)
        else:
            _check_wrapper(wrapped, model)
    finally:
        torch.distributed.destroy_process_group()


def test_a_model_without_layers_is_refused(tmp_path):
    cfg = config(tmp_path / "run", "resnet")
    cfg = copy.deepcopy(cfg)
    cfg.model.backbone = dict(type="mmpretrain.ResNet", depth=18, out_indices=(0, 1, 2, 3),
                              base_channels=8, stem_channels=8)  # fmt: skip
    cfg.model.neck.in_channels = [8, 16, 32, 64]
    with pytest.raises(ValueError, match="UnfreezeHook needs the layer of every parameter"):
        train(cfg)


RANKS = """
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS


@HOOKS.register_module()
class RankSumsHook(Hook):
    def after_train(self, runner):
        import torch

        weights = [p.detach().double().sum().item() for p in runner.model.module.parameters()]
        torch.save(weights, f"{runner.work_dir}/rank{get_rank()}.pt")
"""
TWO = """
_base_ = {base!r}
custom_imports = dict(
    imports=["mmrbdc.engine", "mmrbdc.models", "rank_sums"], allow_failed_imports=False
)
custom_hooks = [dict(type="mmrbdc.UnfreezeHook"), dict(type="RankSumsHook")]
{flag}
"""


@pytest.mark.parametrize(
    "flag", ["find_unused_parameters = True", pytest.param("", marks=pytest.mark.slow)]
)
def test_two_processes(place, flag):
    """Their weights stay the same through all thaws; without the flag nothing is begun."""
    folder = place / f"two{bool(flag)}"
    folder.mkdir()
    (folder / "rank_sums.py").write_text(RANKS)
    base = str(ROOT / "configs" / "mask-rcnn_random-deit-micro_scenes.py")
    (folder / "two.py").write_text(TWO.format(base=base, flag=flag))
    options = ["train_cfg.max_epochs=2", "train_cfg.val_interval=9",
               "train_dataloader.batch_size=1", "train_dataloader.num_workers=0",
               "train_dataloader.persistent_workers=False"]  # fmt: skip
    done = subprocess.run(
        [ROOT / "tools" / "dist_train.sh", folder / "two.py", "2", "--work-dir", folder / "run",
         "--cfg-options", *options],
        cwd=place, capture_output=True, text=True, timeout=200,
        env={**os.environ, "PYTHON": sys.executable, "PYTHONPATH": str(folder),
             "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    if not flag:
        assert done.returncode and "find_unused_parameters=True at the top" in done.stderr
        return
    assert done.returncode == 0, done.stderr[-3000:]
    assert "level 4 of 4" in done.stdout + done.stderr
    one, other = (torch.load(folder / "run" / f"rank{rank}.pt") for rank in range(2))
    assert one == other
