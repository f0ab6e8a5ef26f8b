"""tools/plan.py where searches decide the stages, or the method makes them."""

import json
import runpy
from pathlib import Path

import pytest

from mmrbdc.plan import PlanError

TOOL = Path(__file__).parents[2] / "tools" / "plan.py"
CONFIG = """
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='VisionTransformer',
        arch=dict(embed_dims=96, num_layers=4, num_heads=6, feedforward_channels=192),
        img_size=32,
        patch_size=8),
    head=dict(type='VisionTransformerClsHead', num_classes=10, in_channels=96))
train_dataloader = dict(batch_size=16, dataset=dict(pipeline=[]))
protocol = dict(
    method='autoprog', family='deit', reference_epochs=30, train_samples=1000,
    progression=dict(stages=3, multiple=8, search_epochs=1, batches=2, budget=1.0))
"""
BY_EPOCHS = ["protocol.progression.lengths=epochs", "protocol.progression.budget=None"]
MANUAL = ["protocol.method=autoprog-manual"]


@pytest.fixture(scope="module")
def main():
    return runpy.run_path(str(TOOL))["main"]


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "micro.py"
    path.write_text(CONFIG)
    return str(path)


@pytest.fixture
def manual(tmp_path):
    path = tmp_path / "manual.py"
    text = CONFIG.replace("'autoprog'", "'autoprog-manual'")
    path.write_text(text.replace("search_epochs=1, batches=2, ", ""))
    return str(path)


def json_of(main, capsys, *arguments):
    main([*arguments, "--json"])
    return json.loads(capsys.readouterr().out)


def table(main, capsys, *arguments):
    main([*arguments])
    output = capsys.readouterr().out
    assert max(map(len, output.splitlines())) <= 100
    return " ".join(output.split())


def test_searches_say_what_they_try_and_cost_nothing_where_they_are_left_out(main, config, capsys):
    text = table(main, capsys, config)
    for words in ("9 sub-nets, 2 to 4", "blocks, 16 to 32 px", "up to deit 4x96", "32px"):
        assert words in text
    assert text.count("left out if the model") == 1
    (row,) = [row for row in json_of(main, capsys, config)["stages"] if row.get("skipped")]
    main([config])
    (line,) = [x for x in capsys.readouterr().out.splitlines() if row["name"] in x]
    assert line.strip().endswith("left out if the"), "no figures"


def test_a_budget_leaves_the_last_stages_length_open(main, config, capsys):
    found = json_of(main, capsys, config)
    largest, smallest = found["range"]["largest"], found["range"]["smallest"]
    assert largest["total_flops"] == found["total_flops"] == found["least_flops"]
    assert smallest["share"] == pytest.approx(1, abs=5e-3)
    assert largest["last_stage"]["iters"] == found["stages"][-1]["iters"]
    assert smallest["last_stage"]["iters"] > 1.5 * largest["last_stage"]["iters"]
    text = table(main, capsys, config)
    for which, end in (("always the largest sub-net, as above", largest),
                       ("always the smallest", smallest)):  # fmt: skip
        epochs = f"{end['last_stage']['epochs']:.2f}".rstrip("0").rstrip(".")
        assert f"{which}: stage4_1x96 has {epochs} epochs, " in text
        assert f"({end['share']:.2%})" in text


def test_epochs_leave_the_flops_open(main, config, capsys):
    found = json_of(main, capsys, config, "--cfg-options", *BY_EPOCHS)["range"]
    assert found["smallest"]["last_stage"] == found["largest"]["last_stage"]
    assert found["smallest"]["total_flops"] < 0.7 * found["largest"]["total_flops"]


def test_without_searches_nothing_is_open(main, manual, capsys):
    assert "range" not in json_of(main, capsys, manual)
    text = table(main, capsys, manual)
    assert "always the" not in text and "up to" not in text
    assert "16px" in text and "24px" in text


@pytest.mark.parametrize("more", [[], BY_EPOCHS])
def test_a_budget_that_is_pasted_gives_the_same_plan(main, config, capsys, more):
    options = ["--cfg-options", *more] if more else []
    main([config, "--budget", "0.9", *options])
    line = capsys.readouterr().out.splitlines()[-1]
    pasted: dict = {}
    exec(line, pasted)
    assert pasted["progression"]["budget"] == 0.9
    planned = json_of(main, capsys, config, "--budget", "0.9", *options)
    assert planned["solved"]["progression"] == pasted["progression"]
    assert planned["share"] == pytest.approx(0.9, abs=5e-3)
    path = Path(config).with_name("pasted.py")
    path.write_text(f"{CONFIG}\n{line}\nprotocol['progression'] = progression\ndel progression\n")
    again = json_of(main, capsys, str(path))
    assert again["stages"] == planned["stages"] and again["range"] == planned["range"]


def test_a_method_that_lists_no_stages_takes_a_budget_too(main, manual, capsys):
    found = json_of(main, capsys, manual, "--budget", "0.5")
    assert found["share"] == pytest.approx(0.5, abs=5e-3)


@pytest.mark.parametrize(
    "arguments, words",
    [
        (
            ["--budget", "0.7", "--ratio", "2"],
            "--ratio 2 is given, but method .autoprog. makes",
        ),
        (["--budget", "0"], "budget"),
        (["--budget", "0.7", "--cfg-options", "protocol.progression=7"], "must be a dict"),
        (["--budget", "0.7", "--cfg-options", "protocol.method=autoprg"], "it must be one of"),
    ],
)
def test_refuses(main, config, arguments, words):
    with pytest.raises(PlanError, match=words):
        main([config, *arguments])
