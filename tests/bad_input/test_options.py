"""Options and configs that nothing knows, and what is said of them at the shell."""

import shlex

import pytest

from tests.bad_input.shipped import CONFIGS, LOGS, ROOT, STAGED


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
