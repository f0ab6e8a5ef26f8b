"""A work dir of another protocol, or of half of one; and what is tested is not there."""

import shutil
from pathlib import Path

import pytest

from tests.bad_input.shipped import CONFIGS, DETECTOR, NAME, STAGED


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
