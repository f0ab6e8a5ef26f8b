"""Two CPU processes through tools/dist_train.sh: equal members on both, one set of files."""

import json
import os
import signal
from pathlib import Path

import pytest
import torch

from mmrbdc.processes import EXIT_PREEMPTED
from mmrbdc.weights import read_checkpoint

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tools" / "dist_train.sh"
CONFIGS = ROOT / "configs" / "rbdc"

# What each rank holds after the last step of a stage, and after the epoch that it ends.
RANKS = """
from pathlib import Path

import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS


@HOOKS.register_module()
class DumpRank(Hook):
    priority = "LOWEST"

    def save(self, runner, when):
        state = runner.model.module.state_dict()
        torch.save(state, Path(runner.work_dir) / f"rank{get_rank()}_{when}.pth")

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter + 1 == runner.max_iters:
            self.save(runner, "step")

    def after_train(self, runner):
        self.save(runner, "end")
"""


@pytest.fixture
def path(tmp_path):
    """A PYTHONPATH with the module above in it."""
    (tmp_path / "ranks.py").write_text(RANKS)
    return os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])


def train_on_two(tiny, work_dir, path, *more, code=0, config, **environment):
    options = {
        "custom_imports.imports": "[mmrbdc.datasets,mmrbdc.engine,mmrbdc.models,ranks]",
        "default_hooks.dump.type": "DumpRank",
        "model.backbone.arch.num_layers": 2 if "deit" in config else None,
        "train_dataloader.dataset.data_root": "data/digits",
        "val_dataloader.dataset.data_root": "data/digits",
        "test_dataloader.dataset.data_root": "data/digits",
        "train_dataloader.batch_size": 4,
    }
    arguments = tiny.arguments(work_dir, *more, config=CONFIGS / f"{config}.py", **options)
    arguments.insert(1, "2")
    return tiny.run(SCRIPT, *arguments, code=code, PYTHONPATH=path, **environment)


def rank_states(stage, when):
    return [torch.load(stage / f"rank{rank}_{when}.pth") for rank in (0, 1)]


def differing(state, other):
    assert state.keys() == other.keys()
    return [name for name in state if not torch.equal(state[name], other[name])]


@pytest.mark.parametrize("family", ["deit", "resnet"])
def test_members_are_equal_on_both_ranks(tiny, tmp_path, path, family):
    config = f"{family}-micro_2step_digits"
    work_dir = tmp_path / "run"
    train_on_two(tiny, work_dir, path, config=config)

    plan, ledger = (json.loads((work_dir / f).read_text()) for f in ("plan.json", "ledger.json"))
    assert plan["batch_size"] == 8 and plan["samples_per_epoch"] == 40
    assert ledger["total_flops"] == pytest.approx(plan["total_flops"], rel=0.005)
    assert [entry["samples"] for entry in ledger["stages"]] == [96, 80, 56]

    for entry, members in zip(plan["stages"], (4, 2, 1), strict=True):
        stage = work_dir / entry["name"]
        first, second = rank_states(stage, "end")
        assert differing(first, second) == []
        for i in range(members):
            exported = read_checkpoint(stage / "members" / f"{i}.pth").state_dict
            held = {name: first[f"members.{i}.{name}"] for name in exported}
            assert differing(exported, held) == []
        # The ranks saw different images: BatchNorm's statistics say so until they are averaged.
        before = differing(*rank_states(stage, "step"))
        statistics = [name for name in first if "running_" in name]
        assert before == statistics and bool(statistics) == (family == "resnet")

    final = read_checkpoint(work_dir / f"{config}.pth")
    assert differing(final.state_dict, exported) == []
    curve = json.loads((work_dir / plan["stages"][-1]["name"] / "curve.json").read_text())
    assert final.meta["accuracy"]["val/top1"] == curve[-1]["top1"]
    assert curve[-1]["flops"] == pytest.approx(ledger["total_flops"])


def test_a_search_chooses_the_same_on_both_ranks(tiny, tmp_path, path):
    """Sub-nets pass over blocks, whose parameters get no gradient on either rank."""
    work_dir = tmp_path / "run"
    options = {
        "custom_imports.imports": "[mmrbdc.datasets,mmrbdc.engine,mmrbdc.models,ranks]",
        "default_hooks.dump.type": "DumpRank",
        "train_dataloader.batch_size": 4,
        "protocol.reference_epochs": 6,
        "protocol.progression.batches": 1,
        "protocol.progression.evaluations": 2,
        **{key: None for key in tiny.options if key.startswith("stages")},
    }
    config = CONFIGS.parent / "autoprog" / "deit-micro_digits.py"
    arguments = tiny.arguments(work_dir, config=config, **options)
    arguments.insert(1, "2")
    tiny.run(SCRIPT, *arguments, PYTHONPATH=path)
    plan, ledger = (json.loads((work_dir / f).read_text()) for f in ("plan.json", "ledger.json"))
    assert ledger["total_flops"] == plan["total_flops"]
    for row in plan["stages"]:
        if not row.get("skipped"):
            assert differing(*rank_states(work_dir / row["name"], "step")) == []
    searches = [json.loads(path.read_text()) for path in sorted(work_dir.glob("*/search.json"))]
    assert searches
    for search in searches:
        after = plan["stages"][2 * search["stage"] + 1]
        assert after["img_size"] == [search["chosen"]["img_size"]] * 2


SIGNAL = """
import logging, os, signal
handle = logging.Logger.handle
def handle_and_signal(self, record):
    handle(self, record)
    if os.environ.get("RANK") == "0" and "stage 2 of 3: 70% done" in record.getMessage():
        os.kill(os.get{whose}(), signal.{name})
logging.Logger.handle = handle_and_signal
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "name", "exitcode"),
    [
        ("resnet-micro_2step_digits", "SIGKILL", -signal.SIGKILL),
        ("deit-micro_2step_digits", "SIGTERM", EXIT_PREEMPTED),
    ],
)
def test_one_rank_is_signalled_and_both_go_on_as_if_nothing_had_been(
    tiny, tmp_path, path, config, name, exitcode
):
    """Killed, it takes the other one with it; asked to stop, both save in the middle of an epoch
    and stop."""
    train_on_two(tiny, tmp_path / "unbroken", path, config=config)
    (tmp_path / "sitecustomize.py").write_text(SIGNAL.format(whose="pid", name=name))
    done = train_on_two(tiny, tmp_path / "broken", path, config=config, code=1)
    assert f"exitcode: {exitcode}" in done.stderr.replace(" ", "").replace(":", ": ")
    stage = tmp_path / "broken" / "stage1_2x48"
    assert len(list(stage.glob("epoch_*_iter_*.pth"))) == (name == "SIGTERM")
    (tmp_path / "sitecustomize.py").unlink()
    train_on_two(tiny, tmp_path / "broken", path, "--resume", config=config)
    weights = [tmp_path / run / f"{config}.pth" for run in ("broken", "unbroken")]
    assert differing(*(read_checkpoint(file).state_dict for file in weights)) == []


@pytest.mark.slow
def test_a_launcher_is_killed_and_its_processes_save_and_stop(tiny, tmp_path, path):
    """They hold what the launcher's output goes to: that it ends says that they have ended."""
    config = "deit-micro_2step_digits"
    train_on_two(tiny, tmp_path / "unbroken", path, config=config)
    (tmp_path / "sitecustomize.py").write_text(SIGNAL.format(whose="ppid", name="SIGKILL"))
    train_on_two(tiny, tmp_path / "broken", path, config=config, code=-signal.SIGKILL)
    stage = tmp_path / "broken" / "stage1_2x48"
    assert len(list(stage.glob("epoch_*_iter_*.pth"))) == 1
    (tmp_path / "sitecustomize.py").unlink()
    train_on_two(tiny, tmp_path / "broken", path, "--resume", config=config)
    weights = [tmp_path / run / f"{config}.pth" for run in ("broken", "unbroken")]
    assert differing(*(read_checkpoint(file).state_dict for file in weights)) == []
