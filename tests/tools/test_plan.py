"""tools/plan.py as a user runs it."""

import json
import resource
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from mmengine.config import Config

TOOL = Path(__file__).parents[2] / "tools" / "plan.py"

CONFIG = """
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='VisionTransformer',
        arch=dict(embed_dims=96, num_layers=2, num_heads=6, feedforward_channels=192),
        img_size=32,
        patch_size=8),
    head=dict(type='VisionTransformerClsHead', num_classes=10, in_channels=96))
train_dataloader = dict(batch_size=16, dataset=dict(pipeline=[]))
protocol = dict(method='rbdc', family='deit', reference_epochs=30, train_samples=1000)
stages = [dict(members=2, width=0.5, epochs=3), dict(members=1, width=1, epochs=2)]
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "micro_1step.py"
    path.write_text(CONFIG)
    return str(path)


@pytest.fixture(scope="module")
def main():
    return runpy.run_path(str(TOOL))["main"]


def test_prints_a_table_that_fits(main, config, capsys):
    main([config])
    output = capsys.readouterr().out
    for word in ("micro_1step", "stage0_2x48", "stage1_1x96", "scratch", "total", "MACs"):
        assert word in output
    assert max(map(len, output.splitlines())) <= 100


def test_solved_lengths_pasted_back_spend_the_budget(main, config, capsys):
    main([config, "--budget", "0.7", "--json"])
    solved = json.loads(capsys.readouterr().out)
    assert solved["solved"]["ratio"] == 1.5
    epochs = solved["solved"]["epochs"]
    options = [f"stages.{i}.epochs={length}" for i, length in enumerate(epochs)]
    main([config, "--json", "--cfg-options", *options])
    pasted = json.loads(capsys.readouterr().out)
    assert pasted["stages"] == solved["stages"]
    assert pasted["share"] == pytest.approx(0.7, rel=2e-3)


def test_says_which_ratio_it_assumed(main, config, capsys):
    main([config, "--budget", "0.7"])
    output = capsys.readouterr().out
    assert "ratio 1.5 (the default)" in output
    pasted: dict = {}
    exec(output[output.index("stages = [") :], pasted)
    assert Config(pasted).stages[0].epochs > 3


def test_samples_win_over_the_config(main, config, capsys):
    main([config, "--json", "--samples", "160"])
    assert json.loads(capsys.readouterr().out)["iters_per_epoch"] == 10


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--ratio", "1.5"], "needs --budget"),
        (["--budget", "0"], "budget is 0"),
        (["--budget", "0.7", "--ratio", "-1"], "ratio is -1"),
        (["--budget", "0.7", "--ratio", "3:1:1"], "3:1:1 has 3 relative lengths for 2 stages"),
        (["--budget", "0.7", "--ratio", "3:0"], "ratio is 0"),
        (["--ratio", "3:1:1"], "--ratio 3:1:1 needs --budget"),
        (["--samples", "0"], "samples is 0"),
        (["--cfg-options", "stages.0.members=3"], r"width 1, but its 3 parents"),
        (["--cfg-options", "protocol.train_samples=None"], "train_samples"),
        (["--cfg-options", "protocol.family=resnet"], "protocol.family is 'resnet', but the model"),
        (["--cfg-options", "model.type=TimmClassifier"], "TimmClassifier"),
        (["--cfg-options", "model.backbone.arch.num_layers:=two"], "^model.*num_layers='two'"),
        (["--cfg-options", "model.head.num_classes=3.5"], "^model: .*num_classes=3.5"),
    ],
)
def test_refuses(main, config, arguments, words):
    with pytest.raises(ValueError, match=words):
        main([config, *arguments])


def test_a_mistake_ends_with_one_line_and_a_code(config, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", [str(TOOL), config, "--ratio", "1.5"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(TOOL), run_name="__main__")
    assert ended.value.code == 2
    captured = capsys.readouterr()
    assert captured.err == "error: --ratio 1.5 needs --budget, the share that is to be spent\n"
    assert captured.out == ""


def test_an_unknown_option_ends_with_the_usage(main, config, capsys):
    with pytest.raises(SystemExit) as ended:
        main([config, "--bugdet", "0.7"])
    assert ended.value.code == 2
    assert "--bugdet" in capsys.readouterr().err


def test_a_plan_takes_seconds():
    """Of CPU time: 3.5 on an idle machine, 5 with MMDetection, which no classifier needs."""
    config = TOOL.parents[1] / "configs/rbdc/deit-b_2step_in1k.py"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-v", TOOL, config], capture_output=True, text=True, timeout=120
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0 and "70.00%" in done.stdout
    assert "import 'mmpretrain.models'" in done.stderr and "import 'mmdet" not in done.stderr
    # Other processes on the same cores make CPU time longer.
    assert sum(getattr(after, k) - getattr(before, k) for k in ("ru_utime", "ru_stime")) < 10


SHIPPED = str(TOOL.parents[1] / "configs" / "rbdc" / "deit-micro_2step_digits.py")


def test_memory_of_every_stage_and_what_would_fit(main, capsys):
    main([SHIPPED, "--memory", "--gpus", "2", "--batch", "32", "--card-gb", "0.02"])
    output = capsys.readouterr().out
    assert max(map(len, output.splitlines())) <= 100
    for word in ("each of 2 GPUs, 32 images each", "buckets", "activations", "stage2_1x96"):
        assert word in output
    advice = output[output.index("stage2_1x96 takes") :]
    assert "does not fit on a card of 0.02 GB" in advice
    options = advice.split("--cfg-options ")[1].split()
    parts = {name: int(value.strip(".")) for name, value in (o.split("=") for o in options[:2])}
    batch = parts["train_dataloader.batch_size"]
    assert batch * parts["optim_wrapper.accumulative_counts"] == 32
    pasted = [f"{name}={value}" for name, value in parts.items()]
    main([SHIPPED, "--memory", "--gpus", "2", "--card-gb", "0.02", "--cfg-options", *pasted])
    assert "All stages fit on a card of 0.02 GB." in capsys.readouterr().out


DETECTOR = str(TOOL.parents[1] / "configs" / "mask-rcnn_random-resnet-micro_scenes.py")


def test_memory_of_a_detector_at_its_largest_image(main, capsys):
    main([DETECTOR, "--memory", "--gpus", "2", "--card-gb", "0.06", "--batch", "4"])
    output = capsys.readouterr().out
    assert max(map(len, output.splitlines())) <= 100
    for words in ("each of 2 GPUs, 4 images each", "128 x 128 px takes", "accumulative_counts=",
                  "model.backbone.with_cp=True) it takes"):  # fmt: skip
        assert words in output, output
    main([DETECTOR, "--memory", "--card-gb", "9"])
    assert "It fits on a card of 9 GB." in capsys.readouterr().out
    main([DETECTOR, "--memory", "--json"])
    (found,) = json.loads(capsys.readouterr().out)["memory"].values()
    assert found["peak"] > found["activations"]


def test_a_classifier_without_stages_is_neither(main, tmp_path):
    config = tmp_path / "plain.py"
    base = TOOL.parents[1] / "configs" / "_base_"
    config.write_text(
        f"_base_ = [{str(base / 'models' / 'deit-micro.py')!r}, "
        f"{str(base / 'datasets' / 'digits.py')!r}, "
        f"{str(base / 'schedules' / 'deit-micro.py')!r}]\ndefault_scope = 'mmpretrain'\n"
    )
    with pytest.raises(ValueError, match="for protocols and for detectors"):
        main([str(config), "--memory"])


def test_no_amp_is_float32_though_the_config_autocasts(main, capsys):
    config = str(TOOL.parents[1] / "configs" / "baselines" / "deit-s_scratch_in1k.py")
    main([config, "--memory", "--batch", "1", "--card-gb", "0.01"])
    output = capsys.readouterr().out
    assert "bfloat16 autocast" in output and "take a larger card." in output
    main([config, "--memory", "--no-amp", "--batch", "1", "--card-gb", "0.01"])
    output = capsys.readouterr().out
    assert "as the config has it" in output and "take a larger card or --amp." in output


@pytest.mark.parametrize("option", [["--budget", "0.7"], ["--measure"], ["--samples", "9"]])
def test_what_is_of_a_protocol_is_refused_for_a_detector(main, option):
    with pytest.raises(ValueError, match="of a protocol, and .* has no stages"):
        main([DETECTOR, "--memory", *option])


def test_memory_as_json(main, capsys):
    main([SHIPPED, "--memory", "--json", "--amp"])
    found = json.loads(capsys.readouterr().out)["memory"]
    assert list(found) == ["stage0_4x24", "stage1_2x48", "stage2_1x96"]
    assert all(one["peak"] > one["weights"] + one["optimizer"] for one in found.values())


def test_a_card_that_is_too_small_for_anything(main, capsys):
    main([SHIPPED, "--memory", "--card-gb", "0.001"])
    assert "Not one image does: take a larger card" in capsys.readouterr().out


@pytest.mark.parametrize("option", [["--gpus", "2"], ["--amp"], ["--card-gb", "24"]])
def test_options_of_memory_need_it(main, option):
    with pytest.raises(ValueError, match=f"{option[0]} needs --memory"):
        main([SHIPPED, *option])


def test_measured_time_of_every_stage(main, tiny, monkeypatch, capsys):
    monkeypatch.chdir(tiny.place)
    options = ["--cfg-options", "train_dataloader.batch_size=8"]
    main([SHIPPED, "--measure", "2", "--gpus", "2", *options])
    output = capsys.readouterr().out
    assert max(map(len, output.splitlines())) <= 100
    for word in ("Measured on", "bound by", "stage2_1x96", "total", "2 of "):
        assert word in output
    main([SHIPPED, "--measure", "1", "--json", *options])
    found = json.loads(capsys.readouterr().out)["speed"]
    assert list(found) == ["stage0_4x24", "stage1_2x48", "stage2_1x96"]
    assert all(one["hours"] > 0 for one in found.values())


def test_measuring_needs_the_data(main, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="data/digits"):
        main([SHIPPED, "--measure"])
