"""`kill -9` at any moment of tools/train.py, then --resume: the weights of an unbroken run.

CPU, fixed seed, one data worker, augmentation and drop-path on. The process kills itself, so that
the moments are exact: a script around the tool waits for a file to be renamed into place or for a
line to be logged.
"""

import json
import os
import random
import signal
from pathlib import Path

import pytest
import torch

from mmrbdc.weights import read_checkpoint

NAME = "deit-micro_2step_digits"
STAGES = ["stage0_4x24", "stage1_2x48", "stage2_1x96"]
TRAIN_VAL_TEST = ("train", "val", "test")
ROOT = Path(__file__).parents[2]
TRAIN = ROOT / "tools" / "train.py"
RESNET = ROOT / "configs" / "rbdc" / "resnet-micro_2step_digits.py"
INCUBATION = ROOT / "configs" / "incubation" / "deit-micro_digits.py"
AUTOPROG = ROOT / "configs" / "autoprog" / "deit-micro_digits.py"

KILLER = """
import itertools, logging, os, runpy, signal, sys

moment, *sys.argv = sys.argv[1:]
kind, _, what = moment.partition(" ")
replace, handle, lines = os.replace, logging.Logger.handle, itertools.count(1)


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def replace_or_die(source, target, **options):
    here = os.fspath(target).endswith(what)
    if here and kind == "half":
        os.truncate(source, os.path.getsize(source) // 2)
    if here and kind in ("half", "before"):
        die()
    replace(source, target, **options)
    if here and kind == "after":
        die()


def handle_or_die(self, record):
    handle(self, record)
    if (kind == "log" and what in record.getMessage()) or (
        kind == "line" and next(lines) == int(what)
    ):
        die()


os.replace, logging.Logger.handle = replace_or_die, handle_or_die
runpy.run_path(sys.argv[0], run_name="__main__")
"""

MOMENTS = {
    "stage 0, before its first checkpoint": "log stage 1 of 3: 25% done",
    "stage 0, half of a checkpoint is written": "half stage0_4x24/epoch_2.pth",
    "stage 0, two of four members are out": "after stage0_4x24/members/1.pth",
    "stage 0, all members are out, nothing is recorded": "before stage0_4x24/stage.json",
    "junction, scored and not noted": "before stage1_2x48/junction.json",
    "stage 1, before its first checkpoint": "log stage 2 of 3: 30% done",
    "stage 1, after its first checkpoint": "after stage1_2x48/epoch_1.pth",
    "stage 2, in its second epoch": "log stage 3 of 3: 86% done",
    "final model, without its side-car": f"before {NAME}.json",
}

IN_EVERY_STEP = {  # of Deep Incubation: one moment in each
    "meta model, in its second epoch": "log stage 1 of 3: 58% done",
    "first hybrid, half of it is written": "half stage1_2x96/grown/0/child.pth",
    "second hybrid, grown and not recorded": "before stage1_2x96/grown/1/cost.json",
    "hybrids, scored and not noted": "before stage1_2x96/junction.json",
    "modules, in their second epoch": "log stage 2 of 3: 80% done",
    "target, before it is assembled": "before stage2_1x96/grown/0/child.pth",
    "target, scored and not noted": "before stage2_1x96/junction.json",
    "target, in its second epoch": "log stage 3 of 3: 86% done",
    "final model, without its side-car": "before deit-micro_digits.json",
}
AT_THE_EDGES = {
    "meta model, its stage not recorded": "before stage0_1x96/stage.json",
    "modules, half of a checkpoint is written": "half stage1_2x96/epoch_2.pth",
    "modules, the first of two is out": "after stage1_2x96/members/0.pth",
    "target, assembled and not scored": "after stage2_1x96/grown/0/cost.json",
}

AUTOPROG_STEPS = {  # of AutoProg's two searches and three stages: one moment or more in each
    "first search, before its first checkpoint": "log stage 1 of 5: 30% done",
    "first search, judged behind a checkpoint": "log candidates after 7 iterations",
    "first search, what it chose is not noted": "before stage0_search_1x96/search.json",
    "sub-net, taken out without its average": "before stage1_1x96/grown/0/average.pth",
    "first stage, trained without its average": "before stage1_1x96/average/0.pth",
    "second supernet, grown and not recorded": "after stage2_search_1x96/grown/0/average.pth",
    "second search, what it chose is noted": "after stage2_search_1x96/search.json",
    "second stage, before its first checkpoint": "log stage 4 of 5: 75% done",
    "target, grown and not scored": "after stage4_1x96/grown/0/cost.json",
    "target, in its third epoch": "log stage 5 of 5: 30% done",
    "final model, without its side-car": "before deit-micro_digits.json",
}
AUTOPROG_EDGES = {
    "first search, half of a checkpoint is written": "half stage0_search_1x96/epoch_1.pth",
    "first search, its member is not out": "before stage0_search_1x96/members/0.pth",
    "first search, its member is out": "after stage0_search_1x96/members/0.pth",
    "first search, its average is not out": "before stage0_search_1x96/average/0.pth",
    "first search, its average is out": "after stage0_search_1x96/average/0.pth",
    "first search, what it chose is noted": "after stage0_search_1x96/search.json",
    "first search, not recorded": "before stage0_search_1x96/stage.json",
    "sub-net, half of it is written": "half stage1_1x96/grown/0/child.pth",
    "sub-net, taken out with its average": "after stage1_1x96/grown/0/average.pth",
    "first stage, half of its average is written": "half stage1_1x96/average/0.pth",
    "first stage, its average is out": "after stage1_1x96/average/0.pth",
    "first search, judged at its end": "log candidates after 10 iterations",
    "second supernet, half of its average": "half stage2_search_1x96/grown/0/average.pth",
    "second search, judged behind a checkpoint": "log stage 3 of 5: 70% done",
    "second search, what it chose is not noted": "before stage2_search_1x96/search.json",
}


@pytest.fixture
def killer(tiny, tmp_path):
    """Runs tools/train.py until a moment comes, and expects that it does."""
    script = tmp_path / "killer.py"
    script.write_text(KILLER)

    def kill_at(moment, arguments, code=-signal.SIGKILL):
        return tiny.fork(script, moment, TRAIN, *arguments, code=code)

    return kill_at


def files(work_dir):
    """Every file of weights and every record, by its name."""
    found = {}
    for path in sorted(work_dir.rglob("*")):
        name = str(path.relative_to(work_dir))
        if path.suffix in (".pth", ".safetensors") and "epoch_" not in name:
            found[name] = read_checkpoint(path).state_dict
        elif path.suffix == ".json" and "/vis_data/" not in name and path.name != "wall.json":
            found[name] = without_times(json.loads(path.read_text()))
    return found


def without_times(record):
    """A record without wall times, and without the hash of a file that holds one."""
    if isinstance(record, dict):
        return {k: without_times(v) for k, v in record.items() if k not in ("wall_s", "sha256")}
    return [without_times(v) for v in record] if isinstance(record, list) else record


def differing(state, other):
    assert state.keys() == other.keys()
    return [name for name in state if not torch.equal(state[name], other[name])]


def assert_same_run(work_dir, other):
    ours, theirs = files(work_dir), files(other)
    assert ours.keys() == theirs.keys()
    for name, content in ours.items():
        if name.endswith(".json"):
            assert content == theirs[name], name
        else:
            assert differing(content, theirs[name]) == [], name


def test_what_is_compared(finished):
    """All of it is there, and the last epoch of the last stage changed every tensor."""
    found = files(finished)
    expected = {f"{NAME}.{kind}" for kind in ("pth", "safetensors", "json")}
    expected |= {"plan.json", "ledger.json"}
    for stage, members in zip(STAGES, (4, 2, 1), strict=True):
        expected |= {f"{stage}/{name}.json" for name in ("stage", "curve", "cost")}
        expected |= {f"{stage}/members/{i}.pth" for i in range(members)}
    for stage, members in zip(STAGES[1:], (2, 1), strict=True):
        expected |= {f"{stage}/junction.json", f"{stage}/junction/cost.json"}
        expected |= {
            f"{stage}/grown/{i}/{name}"
            for i in range(members)
            for name in ("child.pth", "growth.json", "cost.json")
        }
    assert found.keys() == expected
    final = found[f"{NAME}.pth"]
    earlier = read_checkpoint(finished / STAGES[2] / "epoch_1.pth").state_dict
    assert len(differing(final, {name: earlier[f"members.0.{name}"] for name in final})) == len(
        final
    )


def test_killed_again_and_again(tiny, finished, killer, tmp_path):
    """One run, killed at every moment in turn, and robbed of a checkpoint at last."""
    work_dir = tmp_path / "killed"
    arguments = tiny.arguments(work_dir, "--resume")
    for name, moment in MOMENTS.items():
        killer(moment, arguments)
        if name == "stage 2, in its second epoch":
            newest = work_dir / STAGES[2] / "epoch_1.pth"
            os.truncate(newest, newest.stat().st_size // 2)
    tiny.fork(TRAIN, *arguments)
    assert_same_run(work_dir, finished)


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS)
def test_killed_once(tiny, finished, killer, tmp_path, moment):
    arguments = tiny.arguments(tmp_path / "killed", "--resume")
    killer(moment, arguments)
    tiny.fork(TRAIN, *arguments)
    assert_same_run(tmp_path / "killed", finished)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_killed_somewhere(tiny, finished, killer, tmp_path, seed):
    """Three times, at random log lines."""
    draw = random.Random(seed)
    arguments = tiny.arguments(tmp_path / "killed", "--resume")
    for _ in range(3):
        code = killer(f"line {draw.randint(1, 90)}", arguments, code=None)
        assert code in (-signal.SIGKILL, 0)
    tiny.fork(TRAIN, *arguments)
    assert_same_run(tmp_path / "killed", finished)


@pytest.mark.slow
def test_a_resnet_killed_again_and_again(tiny, killer, tmp_path):
    """BatchNorm statistics and SGD's momentum go on as well."""
    make = {"config": RESNET, "model.backbone.arch.num_layers": None}
    make |= {f"{split}_dataloader.dataset.data_root": "data/digits" for split in TRAIN_VAL_TEST}
    tiny.fork(TRAIN, *tiny.arguments(tmp_path / "unbroken", **make))
    arguments = tiny.arguments(tmp_path / "killed", "--resume", **make)
    for moment in (
        "after stage0_4x4/epoch_1.pth",
        "log stage 2 of 3: 30% done",
        "log stage 2 of 3: 70% done",
        "log stage 3 of 3: 86% done",
    ):
        killer(moment, arguments)
    tiny.fork(TRAIN, *arguments)
    assert_same_run(tmp_path / "killed", tmp_path / "unbroken")


def kill_and_compare(tiny, protocol, killer, tmp_path, moments):
    """Kill a run at each of some moments, and let it end like an undisturbed one."""
    make, unbroken = protocol
    arguments = make(tmp_path / "killed", "--resume")
    for moment in moments:
        killer(moment, arguments)
    tiny.fork(TRAIN, *arguments)
    assert_same_run(tmp_path / "killed", unbroken)


@pytest.fixture(scope="module")
def incubation(tiny):
    """Arguments of a protocol of Deep Incubation, and the work dir of an undisturbed one."""

    def arguments(work_dir, *more):
        make = {"config": INCUBATION, "model.backbone.arch.num_layers": None}
        return tiny.arguments(work_dir, *more, **make)

    unbroken = tiny.place / "work_dirs" / "incubation"
    tiny.fork(TRAIN, *arguments(unbroken))
    return arguments, unbroken


@pytest.mark.slow
def test_deep_incubation_killed_in_every_step(tiny, incubation, killer, tmp_path):
    """One run, killed in every step in turn."""
    kill_and_compare(tiny, incubation, killer, tmp_path, IN_EVERY_STEP.values())


@pytest.mark.slow
@pytest.mark.parametrize(
    "moment", [*IN_EVERY_STEP.values(), *AT_THE_EDGES.values()], ids=[*IN_EVERY_STEP, *AT_THE_EDGES]
)
def test_deep_incubation_killed_once(tiny, incubation, killer, tmp_path, moment):
    kill_and_compare(tiny, incubation, killer, tmp_path, [moment])


@pytest.fixture(scope="module")
def autoprog(tiny):
    """Arguments of a protocol of AutoProg, and the work dir of an undisturbed one.

    Searches of 10 iterations, judged after 5, 7 and 10; stages of 4; the target has 44.
    """
    make = {"config": AUTOPROG, "model.backbone.arch.num_layers": None}
    make |= {f"stages.{i}.epochs": None for i in range(3)} | {"protocol.reference_epochs": 12}
    search = dict(search_epochs=2, evaluations=3, batches=1)
    make |= {f"protocol.progression.{key}": value for key, value in search.items()}

    def arguments(work_dir, *more):
        return tiny.arguments(work_dir, *more, **make)

    unbroken = tiny.place / "work_dirs" / "autoprog"
    tiny.fork(TRAIN, *arguments(unbroken))
    return arguments, unbroken


@pytest.mark.slow
def test_autoprog_killed_in_every_step(tiny, autoprog, killer, tmp_path):
    """One run, killed in every step in turn."""
    kill_and_compare(tiny, autoprog, killer, tmp_path, AUTOPROG_STEPS.values())


@pytest.mark.slow
@pytest.mark.parametrize(
    "moment",
    [*AUTOPROG_STEPS.values(), *AUTOPROG_EDGES.values()],
    ids=[*AUTOPROG_STEPS, *AUTOPROG_EDGES],
)
def test_autoprog_killed_once(tiny, autoprog, killer, tmp_path, moment):
    kill_and_compare(tiny, autoprog, killer, tmp_path, [moment])


@pytest.mark.slow
def test_what_is_compared_of_autoprog(autoprog):
    """What searches chose, averages, and weights, all of which the last stage has changed."""
    found = files(autoprog[1])
    final, begun = found["deit-micro_digits.pth"], found["stage4_1x96/grown/0/child.pth"]
    assert len(differing(final, begun)) == len(final)
    trained, average = (found[f"stage1_1x96/{kind}/0.pth"] for kind in ("members", "average"))
    assert len(differing(trained, average)) == len(trained)
    for name in ("stage0_search_1x96", "stage2_search_1x96"):
        assert {f"{name}/{one}" for one in ("search.json", "average/0.pth")} <= found.keys()
        assert len(found[f"{name}/search.json"]["evaluations"][0]) == 3
    grown = {f"stage{i}_1x96/grown/0/average.pth" for i in (1, 3, 4)}
    assert grown <= found.keys() and "stage4_1x96/average/0.pth" not in found
