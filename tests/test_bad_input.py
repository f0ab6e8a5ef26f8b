"""What a user can get wrong, at the command lines: one readable line, code 2, nothing written.

In the order of the list that the project keeps of them. There are more tests of parents and their
files in tools/test_grow.py, of data sets in datasets/test_check.py, of backbones in
models/test_backbones_transfer.py.
"""

import os
import runpy
import shlex
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmrbdc.cli import run_cli
from mmrbdc.datasets.made.scenes import make_scenes
from mmrbdc.families import architecture_from_config
from mmrbdc.weights import save_member

ROOT = Path(__file__).parent.parent
CONFIGS = ROOT / "configs"
NAME = "deit-micro_2step_digits"
STAGED = CONFIGS / "rbdc" / f"{NAME}.py"
RANDOM = CONFIGS / "mask-rcnn_random-deit-micro_scenes.py"
DETECTOR = CONFIGS / "mask-rcnn_rbdc-deit-micro_scenes.py"

LOGS = ("", ".log", ".py", ".txt")
"""What a run that fails as it starts may leave: folders, its log, its config."""

pytestmark = pytest.mark.filterwarnings("ignore:pkg_resources")


@pytest.fixture(scope="module")
def mains():
    """The main functions of the tools."""
    names = ("train", "test", "plan", "grow", "make_demo_data", "compare")
    return {name: runpy.run_path(str(ROOT / "tools" / f"{name}.py"))["main"] for name in names}


def files(*places):
    paths = [path for place in places for path in sorted(place.rglob("*"))]
    return {path: path.read_bytes() if path.is_file() else None for path in paths}


@pytest.fixture
def mistake(mains, tiny, tmp_path, monkeypatch, capsys):
    """Runs a tool into a mistake, and returns what it says.

    Every file and folder stays as it is, and none is new, but for suffixes in ``leaves`` and the
    lock of a work dir, which says who was last in it. Where the error should stand ``alone``,
    nothing is printed before it.
    """
    monkeypatch.chdir(tiny.place)

    def run(tool, *argv, leaves=(), alone=False):
        before = files(tiny.place, tmp_path)
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            run_cli(partial(mains[tool], [str(part) for part in argv]))
        assert ended.value.code == 2
        printed, errors = capsys.readouterr()
        assert not alone or not printed
        usage, _, message = errors.partition("error: ")
        assert not usage or usage.startswith("usage: ")
        assert message and "error: " not in message
        after = files(tiny.place, tmp_path)
        for path in after.keys() | before.keys():
            if path.name == ".lock":
                continue
            assert path.suffix in leaves or after.get(path, "gone") == before.get(path, "new"), path
        return message.strip()

    return run


@pytest.fixture
def train_mistake(mistake, tiny, tmp_path):
    """A mistake in tools/train.py, in options of the tiny protocol."""

    def run(*more, work_dir=tmp_path / "run", **keywords):
        return mistake("train", *tiny.arguments(work_dir, *more, **keywords))

    return run


# Parents that do not fit, and files that are no parents


class Parents:
    """Members of half the width of the staged config's target, of random weights."""

    def __init__(self, folder):
        self.folder = folder
        self.arch = architecture_from_config(Config.fromfile(STAGED).model).scaled(0.5)

    def write(self, name, seed, drop=None, add=None, **change):
        arch = replace(self.arch, **change)
        layout, generator = arch.layout(), torch.Generator().manual_seed(seed)
        state = {
            key: torch.randn(layout.shape(key), generator=generator)
            for key in layout.entries
            if key != drop
        }
        if add:
            state[add] = torch.zeros(1)
        path = self.folder / name
        save_member(path, state, {"family": arch.family, "architecture": arch.to_dict()})
        return path


@pytest.fixture
def parents(tmp_path):
    return Parents(tmp_path)


@pytest.fixture
def grow_mistake(mistake, tmp_path):
    """A mistake in tools/grow.py."""

    def run(*paths, config=STAGED):
        out = tmp_path / "grown.pth"
        return mistake("grow", "--config", config, "--parents", *paths, "--out", out)

    return run


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (dict(depth=3), "depth is 3 instead of 4"),
        (dict(patch_size=(16, 16)), "patch_size is (16, 16) instead of (8, 8)"),
        (dict(num_classes=7), "num_classes is 7 instead of 10"),
        (dict(num_heads=1), "head size is 48 instead of 24"),
        (dict(embed_dims=72, num_heads=3), "48 + 72 = 120"),
        (dict(drop="backbone.ln1.bias"), "backbone.ln1.bias"),
        (dict(add="backbone.ln9.bias"), "backbone.ln9.bias"),
    ],
    ids=["depth", "patch size", "classes", "head size", "width", "missing key", "extra key"],
)
def test_parents_that_do_not_fit(grow_mistake, parents, change, words):
    good, bad = parents.write("a.pth", 1), parents.write("b.pth", 2, **change)
    message = grow_mistake(good, bad)
    assert words in message and ("b.pth" in message or "embed_dims" in change)


def test_the_same_parent_twice(grow_mistake, parents):
    good = parents.write("a.pth", 1)
    assert "--allow-equal-parents" in grow_mistake(good, good)


class Foreign:
    """Pickles as a call that makes a folder."""

    def __reduce__(self):
        return (os.mkdir, ("executed",))


def test_a_truncated_file(grow_mistake, parents):
    good, bad = parents.write("a.pth", 1), parents.write("b.pth", 2)
    os.truncate(bad, bad.stat().st_size // 2)
    assert "b.pth is truncated" in grow_mistake(good, bad)


def test_a_file_that_is_no_checkpoint(grow_mistake, parents, tmp_path):
    bad = tmp_path / "b.pth"
    bad.write_text("weights, honestly")
    assert "b.pth is not a checkpoint" in grow_mistake(parents.write("a.pth", 1), bad)


@pytest.mark.parametrize("tool", ["grow", "test"])
def test_a_pickle_with_foreign_code(mistake, grow_mistake, parents, tmp_path, tool):
    """It is refused wherever a file enters, and does not run."""
    bad = tmp_path / "b.pth"
    torch.save({"state_dict": {"weight": Foreign()}}, bad)
    if tool == "grow":
        message = grow_mistake(parents.write("a.pth", 1), bad)
    else:
        message = mistake("test", STAGED, bad, "--work-dir", tmp_path / "run")
    assert "b.pth was refused" in message and "was not run" in message


# Protocols that cannot be


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"stages.0.members": 3}, "stages[0] has 3 members and stages[1] has 2"),
        ({"stages.0.width": "1/3"}, "stages[0].width='1/4'"),
        ({"stages.2.members": 2}, "members=1, width=1"),
        ({"stages.0.epochs": 0}, "stages[0].epochs is 0"),
        ({"stages.1.epochs": -3}, "stages[1].epochs is -3"),
        ({"stages.1.epochs": "long"}, "the config holds 14.56 there, got 'long'"),
        ({"stages.1.epochs:": "long"}, "stages[1].epochs is 'long'"),
        ({"stages.1.epochs": None, "stages.1.iters": -5}, "stages[1].iters is -5"),
        ({"stages.0.epoch": 3}, "did you mean 'epochs'?"),
        ({"stages": "[]"}, "stages must be a list of at least one dict"),
        ({"protocol.method": "scratch"}, "'scratch' has exactly one stage"),
        ({"protocol.family": "vgg"}, "vgg"),
        ({"protocol.operator": "magic"}, "leave protocol.operator out"),
        ({"stages.0.width": "1/5"}, "1/5"),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
@pytest.mark.parametrize("tool", ["train", "plan"])
def test_a_protocol_that_cannot_be(mistake, tiny, tmp_path, tool, options, words):
    work_dir = ["--work-dir", tmp_path / "run"] if tool == "train" else []
    pairs = [f"{key}={value}" for key, value in options.items()]
    assert words in mistake(tool, STAGED, *work_dir, "--cfg-options", *pairs)


# Data that is not there, or not the head's


@pytest.fixture
def scenes(tiny):
    make_scenes(tiny.place / "data" / "digit_scenes", counts=dict(train=2, val=1, test=1))


def test_a_missing_data_folder(train_mistake):
    message = train_mistake(train_dataloader__dataset__data_root="nowhere/digits")
    assert "there is no folder 'nowhere/digits/train'" in message
    assert "python tools/make_demo_data.py" in message


def test_an_empty_data_folder(train_mistake, tmp_path):
    (tmp_path / "digits" / "train").mkdir(parents=True)
    message = train_mistake(train_dataloader__dataset__data_root=str(tmp_path / "digits"))
    assert "has no class folders" in message


def test_classes_of_data_and_head_differ(train_mistake):
    message = train_mistake(model__head__num_classes=7)
    assert "has 10 classes" in message and "model.head.num_classes=10" in message


def test_scenes_that_are_missing(mistake, tmp_path):
    work_dir, option = tmp_path / "run", "train_dataloader.dataset.data_root=nowhere/digit_scenes"
    message = mistake("train", RANDOM, "--work-dir", work_dir, "--cfg-options", option)
    assert "nowhere/digit_scenes" in message and "python tools/make_demo_data.py" in message


def test_classes_of_scenes_and_heads_differ(mistake, tmp_path, scenes):
    work_dir, option = tmp_path / "run", "model.roi_head.mask_head.num_classes=7"
    message = mistake("train", RANDOM, "--work-dir", work_dir, "--cfg-options", option)
    assert "has 10 classes" in message and "model.roi_head.mask_head.num_classes=10" in message


@pytest.mark.parametrize(
    "option",
    [
        "optim_wrapper.optimizer.type=SGDD",
        "param_scheduler.1.type=CosineLR",
        "val_dataloader.sampler.type=Sampler1",
        "train_cfg.max_epochs=0",
        "model.backbone=None",
    ],
)
def test_what_only_building_tells_stands_alone(mistake, tmp_path, scenes, option):
    """And not below hundreds of lines of MMEngine's tables."""
    argv = ["--work-dir", tmp_path / "run", "--cfg-options", option]
    message = mistake("train", RANDOM, *argv, leaves=(*LOGS, ".json"), alone=True)
    assert option.split(".")[0].partition("=")[0] in message


@pytest.mark.parametrize("tool", ["train", "test", "plan"])
def test_a_study_is_no_run(mistake, tool):
    study = CONFIGS / "studies" / "digits_resnet.py"
    assert f"python tools/study.py {study} runs it" in mistake(tool, study)


@pytest.mark.parametrize("launcher, name", [("pytorch", "RANK"), ("slurm", "SLURM_PROCID")])
@pytest.mark.parametrize("tool", ["train", "test"])
def test_a_launcher_that_started_nothing(mistake, monkeypatch, tool, launcher, name):
    monkeypatch.delenv(name, raising=False)
    message = mistake(tool, STAGED, "--launcher", launcher)
    assert f"--launcher {launcher} needs {name}" in message and "leave --launcher out" in message


def test_a_printed_command_can_be_pasted(mistake, tmp_path):
    config = tmp_path / "it's mine, [v2]" / "größe $1.py"
    config.parent.mkdir()
    config.write_text(f"_base_ = {str(STAGED)!r}\n")
    message = mistake("test", config)
    words = shlex.split(message.partition("make it with: ")[2])
    place = ["--work-dir", f"work_dirs/{config.stem}"]
    assert words == ["python", "tools/train.py", str(config), *place]


@pytest.mark.parametrize("option", ["--amp", "--auto-scale-lr"])
def test_an_empty_config(mistake, tmp_path, option):
    config = tmp_path / "empty.py"
    config.write_text("auto_scale_lr = None\n")
    assert f"{config} has no " in mistake("train", config, option)


@pytest.mark.parametrize("argv", [["--scenes", "0", "1", "1"], ["--digits", "5000", "1", "1"]])
def test_demo_data_of_impossible_size(mistake, tmp_path, argv):
    assert "is not possible" in mistake("make_demo_data", "--out", tmp_path / "data", *argv)


# A detector and the checkpoint of another model


@pytest.mark.parametrize(
    ("family", "source", "words"),
    [
        ("resnet", f"{NAME}.pth", "family is deit instead of resnet"),
        ("deit", "stage1_2x48/members/0.pth", "embed_dims is 48 instead of 96"),
    ],
)
def test_a_backbone_of_another_kind(mistake, tmp_path, finished, scenes, family, source, words):
    message = mistake(
        "train",
        CONFIGS / f"mask-rcnn_rbdc-{family}-micro_scenes.py",
        "--work-dir",
        tmp_path / "run",
        "--cfg-options",
        f"model.backbone.init_cfg.checkpoint={finished / source}",
        leaves=LOGS,
    )
    assert words in message and source in message


@pytest.mark.parametrize("name", ["rbdc-r50", "scratch-r50", "rbdc-deit-b", "scratch-deit-b"])
def test_a_missing_backbone(mistake, tmp_path, name):
    path = CONFIGS / f"mask-rcnn_{name}_coco.py"
    init_cfg = Config.fromfile(path).model.backbone.init_cfg
    message = mistake("train", path, "--work-dir", tmp_path / "run")
    assert init_cfg.checkpoint in message
    assert f"python tools/train.py {init_cfg.made_by}" in message


# A work dir of another protocol, or of half of one


@pytest.fixture
def unfinished(finished, tmp_path):
    """A run that was killed before its last stage."""
    work_dir = Path(shutil.copytree(finished, tmp_path / "unfinished"))
    shutil.rmtree(work_dir / "stage2_1x96")
    for path in work_dir.glob(f"{NAME}.*"):
        path.unlink()
    return work_dir


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"stages.2.epochs": 3}, "max_iters: 7 -> 15"),
        ({"optim_wrapper.optimizer.lr": 0.5}, "optim_wrapper.optimizer.lr"),
        ({"model.backbone.drop_path_rate": 0.3}, "drop_path_rate: 0.1 -> 0.3"),
        ({"randomness.seed": 1}, "seed: 0 -> 1"),
        ({"train_dataloader.batch_size": 4}, "batch_size: 8 -> 4"),
        ({"protocol.parents": "ema"}, "parents"),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
@pytest.mark.parametrize("more", [[], ["--resume"]], ids=["", "--resume"])
def test_resuming_with_a_changed_plan(train_mistake, unfinished, options, words, more):
    message = train_mistake(*more, work_dir=unfinished, **options)
    assert "holds another protocol" in message and words in message


def test_a_work_dir_of_another_protocol(mistake, tiny, finished):
    """Said in a few short lines, however much differs."""
    config = CONFIGS / "baselines" / "deit-micro_scratch_digits.py"
    options = {f"stages.{i}.epochs": None for i in (1, 2)}
    message = mistake("train", *tiny.arguments(finished, config=config, **options))
    assert "stages: 3 entries -> 1 entries" in message and len(message) < 500


def test_an_unfinished_run_without_resume(train_mistake, unfinished):
    assert "add --resume" in train_mistake(work_dir=unfinished)


# What is tested is not there


def test_a_final_model_that_is_not_there(mistake, unfinished):
    message = mistake("test", STAGED, "--work-dir", unfinished)
    assert f"python tools/train.py {STAGED} --work-dir {unfinished}" in message


def test_a_detector_that_is_not_trained(mistake, tmp_path):
    message = mistake("test", DETECTOR, "--work-dir", tmp_path / "run")
    assert "holds no checkpoint" in message and f"python tools/train.py {DETECTOR}" in message


@pytest.mark.parametrize("config", [STAGED, DETECTOR])
def test_a_named_checkpoint_that_is_not_there(mistake, tmp_path, config):
    assert "nowhere.pth does not exist" in mistake(
        "test", config, "nowhere.pth", "--work-dir", tmp_path / "run"
    )


def test_a_final_model_of_another_width(mistake, finished, tmp_path):
    message = mistake(
        "test", STAGED, finished / "stage1_2x48" / "members" / "0.pth", "--work-dir", tmp_path
    )
    assert "0.pth" in message and "48" in message and "96" in message


def test_comparing_a_folder_without_a_run(mistake, tmp_path):
    assert "nothing" in mistake("compare", tmp_path / "nothing", "--out", tmp_path / "out")


# Options


@pytest.mark.parametrize("tool", ["train", "test", "plan", "grow", "make_demo_data", "compare"])
def test_an_unknown_option(mistake, tool):
    """Argparse prints its usage and one line."""
    needed = {
        "grow": ["--config", STAGED, "--parents", "a", "b", "--out", "c"],
        "make_demo_data": [],
    }
    message = mistake(tool, *needed.get(tool, [STAGED]), "--faster")
    assert "--faster" in message


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("train_dataloadr.batch_size=4", "did you mean 'train_dataloader'?"),
        ("stages.7.epochs=1", "stages.7.epochs"),
        ("stages.0.epochs.more=1", "stages.0.epochs.more"),
        ("protocol.budget=1", "budget"),
        ("model.backbone.dropp=0.1", "dropp"),
        ("model.head.type=Headd", "Headd"),
        ("load_from=a.pth", "load_from"),
    ],
)
def test_an_unknown_config_option(mistake, tiny, tmp_path, option, words):
    assert words in mistake("train", *tiny.arguments(tmp_path / "run"), option)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("train_dataloader.batchsize=4", "unexpected keyword argument 'batchsize'"),
        ("optim_wrapper.optimizer.learning_rate=0.1", "'learning_rate'"),
        ("default_hooks.timer.type=Hookk", "type 'Hookk' names no hook that is registered"),
    ],
)
def test_an_option_that_only_a_class_knows(mistake, tiny, tmp_path, option, words):
    """It shows when the run starts; corrected, the run is begun anew, not another protocol."""
    for more in ("stages.0.epochs=1", "stages.0.epochs=2"):
        argv = [*tiny.arguments(tmp_path / "run"), option, more]
        message = mistake("train", *argv, leaves=(*LOGS, ".json"))
        assert words in message and "correct the config or --cfg-options" in message


@pytest.mark.parametrize("tool", ["train", "test", "plan"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "config.py"),
        ("model = dict(", "config.py"),
        ("_base_ = 'nowhere.py'", "nowhere.py"),
        ("model = wrong", "wrong"),
    ],
)
def test_a_config_that_cannot_be_read(mistake, tmp_path, tool, content, words):
    path = tmp_path / "config.py"
    if content is not None:
        path.write_text(content)
    assert words in mistake(tool, path)


# At the shell


def test_a_mistake_at_the_shell(tiny, tmp_path):
    """No traceback, no warnings: one line and a code."""
    work_dir = tmp_path / "run"
    done = tiny.tool("train.py", STAGED, "--work-dir", work_dir, "--cfg-options", "stage=1", code=2)
    assert done.stdout == ""
    assert done.stderr.startswith("error: --cfg-options stage: the config has no 'stage'; did you")
    assert len(done.stderr.splitlines()) == 1 and not work_dir.exists()


@pytest.mark.parametrize("script", ["dist_train.sh", "dist_test.sh"])
def test_a_script_without_its_arguments(tiny, script):
    done = tiny.run(ROOT / "tools" / script, STAGED, code=2)
    assert done.stderr == f"error: usage: tools/{script} CONFIG PROCESSES [options]\n"
