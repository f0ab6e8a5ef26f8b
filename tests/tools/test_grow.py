"""tools/grow.py as a user runs it: files in, a file out, one readable line for every mistake."""

import json
import runpy
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch

from mmrbdc.cli import run_cli
from mmrbdc.families import architecture_from_config, architecture_from_dict
from mmrbdc.growth import grow, run
from mmrbdc.weights import read_checkpoint, save_member
from mmrbdc.weights.libraries import from_mmpretrain

TOOL = Path(__file__).parents[2] / "tools" / "grow.py"
RESNET50 = "mmpretrain::resnet/resnet50_8xb32_in1k.py"

RESNET = """
model = dict(
    type='ImageClassifier',
    backbone=dict(type='ResNet', depth=18, base_channels=8, stem_channels=8),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=5, in_channels=64))
"""
STAGES = "stages = [dict(members=2, width=0.5, epochs=1), dict(members=1, width=1, epochs=1)]\n"

HALVED = """
from mmrbdc.growth import Operator, block_diagonal, register_operator


def grow(parents, layout, *, generator=None, context=None):
    child = block_diagonal.grow(parents, layout)
    return {name: tensor / 2 for name, tensor in child.items()}


register_operator(Operator("halved", grow, block_diagonal.describe, parents="sum"))
"""


@pytest.fixture(scope="module")
def main():
    """The tool's main function."""
    return runpy.run_path(str(TOOL))["main"]


def command(config, parents, *more, out="out.pth"):
    return ["--config", config, "--parents", *parents, "--out", out, *more]


def same(state, other):
    return state.keys() == other.keys() and all(torch.equal(state[k], other[k]) for k in state)


def test_plain_state_dicts(files, main):
    parents = files.two()
    main(command(files.child, parents))
    child = read_checkpoint("out.pth")
    expected = grow([torch.load(path) for path in parents], files.architecture("child.py").layout())
    assert same(child.state_dict, expected.state_dict)
    assert architecture_from_dict(child.meta["architecture"]) == files.architecture("child.py")
    assert child.meta["parents"] == [read_checkpoint(path).sha256 for path in parents]


def test_files_of_another_library(files, main):
    plain = files.two()
    for path in plain:
        torch.save(from_mmpretrain(torch.load(path), "timm", "deit")[0], f"timm_{path}")
    main(command(files.child, [f"timm_{path}" for path in plain]))
    main(command(files.child, plain, out="mm.pth"))
    assert same(read_checkpoint("out.pth").state_dict, read_checkpoint("mm.pth").state_dict)


def test_mmengine_checkpoints(files, main):
    plain = files.two()
    for path in plain:
        content = {"meta": {"epoch": 3}, "state_dict": torch.load(path), "optimizer": {}}
        torch.save(content, f"mm_{path}")
    main(command(files.child, plain))
    main(command(files.child, [f"mm_{path}" for path in plain], out="mm.pth"))
    assert same(read_checkpoint("out.pth").state_dict, read_checkpoint("mm.pth").state_dict)


def with_average(path, to):
    """A training checkpoint under EMAHook: the average in front, raw weights behind."""
    raw = torch.load(path)
    ema = {
        name: tensor / 2 if tensor.is_floating_point() else tensor for name, tensor in raw.items()
    }
    behind = {f"module.{name}": tensor for name, tensor in raw.items()}
    torch.save({"state_dict": ema, "ema_state_dict": behind, "meta": {}}, to)
    return to


def test_raw_or_averaged_weights_are_chosen(files, main, capsys):
    plain = files.two()
    both = [with_average(path, f"both_{path}") for path in plain]
    main(command(files.child, plain))
    main(command(files.child, both, "--weights", "raw", out="raw.pth"))
    main(command(files.child, both, "--weights", "ema", out="ema.pth"))
    raw, ema = (read_checkpoint(path) for path in ("raw.pth", "ema.pth"))
    assert same(read_checkpoint("out.pth").state_dict, raw.state_dict)
    assert not same(raw.state_dict, ema.state_dict)
    assert (raw.weights, ema.weights) == ("raw", "ema")
    assert "choose" in error_of(main, capsys, command(files.child, both, out="none.pth"))


def test_a_staged_config_gives_its_target(files, main):
    main(command(files.child, files.two()))
    main(command(files.config("staged.py", more=STAGES), files.two(), out="staged.pth"))
    assert same(read_checkpoint("out.pth").state_dict, read_checkpoint("staged.pth").state_dict)


def test_unequal_widths(files, main):
    wide = files.parent("wide.pth", 1, width=24, heads=3)
    narrow = files.parent("thin.pth", 2, width=8, heads=1)
    main(command(files.child, [wide, narrow]))
    token = read_checkpoint("out.pth").state_dict["backbone.cls_token"]
    parts = [torch.load(path)["backbone.cls_token"] for path in (wide, narrow)]
    assert torch.equal(token, torch.cat(parts, -1))


def test_a_grown_file_is_a_parent_again(files, main):
    main(command(files.child, files.two(), out="c.pth"))
    main(command(files.child, [files.parent("d.pth", 3), files.parent("e.pth", 4)], out="f.pth"))
    main(command(files.config("wide.py", width=64, heads=8), ["c.pth", "f.pth"]))
    shape = read_checkpoint("out.pth").state_dict["backbone.layers.0.attn.qkv.weight"].shape
    assert shape == (192, 64)


@pytest.mark.parametrize("make", ["parent", "member"])
def test_parents_of_less_depth_and_smaller_images(files, main, capsys, make):
    """Whether the files say it or their tensors do."""
    parents = [getattr(files, make)(f"{i}.pth", i, depth=1, size=24) for i in (1, 2)]
    options = ["--depth-operator", "stack", "--resize-positions", "--report", "report.json"]
    main(command(files.child, parents, *options))
    text = capsys.readouterr().out
    assert "first    positions 3x3 -> 4x4, blocks 1 -> 2 (stack): 1.pth, 2.pth" in text
    report = json.loads(Path("report.json").read_text())
    assert report["parents"][0]["changes"] == ["positions 3x3 -> 4x4", "blocks 1 -> 2 (stack)"]
    state = read_checkpoint("out.pth").state_dict
    weights = [state[f"backbone.layers.{i}.attn.qkv.weight"] for i in range(2)]
    assert torch.equal(*weights) and state["backbone.pos_embed"].shape == (1, 17, 32)
    assert files.architecture("child.py").layout().space_sizes(state, "out.pth")


@pytest.mark.parametrize("make", ["parent", "member"])
@pytest.mark.parametrize(
    ("options", "word"),
    [(dict(depth=1), "--depth-operator"), (dict(size=24), "--resize-positions")],
)
def test_a_refusal_names_the_option(files, main, capsys, make, options, word):
    parents = [files.parent("a.pth", 1), getattr(files, make)("b.pth", 2, **options)]
    message = error_of(main, capsys, command(files.child, parents))
    assert "b.pth" in message and word in message


def test_what_is_printed(files, main, capsys):
    main(command(files.child, [files.parent("a.pth", 1), files.member("b.pth", 2)]))
    text = capsys.readouterr().out
    assert "child    deit 2x32, 4 heads" in text
    assert "b.pth  deit 2x16, 2 heads, 32 hidden (its file says so), raw weights" in text
    assert "heads    of size 8, taken from the child: not stated for a.pth" in text
    assert "0:16, 16:32" in text and "placed/k" in text and "mean" in text
    assert "zero (" in text and "saved out.pth" in text
    assert len(text.splitlines()) < 40
    assert max(map(len, text.splitlines())) <= 100


def test_who_says_the_head_size(files, main, capsys):
    main(command(files.child, [files.member("a.pth", 1), files.member("b.pth", 2)]))
    assert "heads    of size 8, stated for every parent" in capsys.readouterr().out
    narrow = files.config("half.py", width=16, heads=2)
    main(command(files.child, files.two(), "--parent-config", narrow, out="2.pth"))
    text = capsys.readouterr().out
    assert "(from half.py)" in text and "stated for every parent" in text


def test_the_report(files, main):
    main(command(files.child, files.two(), "--report", "report.json"))
    report = json.loads(Path("report.json").read_text())
    assert report["head_sizes"] == [8]
    assert [parent["path"] for parent in report["parents"]] == ["a.pth", "b.pth"]
    assert report["parents"][0]["architecture"] is None
    assert report["spaces"]["stream"] == {"kind": "stream", "size": 32, "parents": [16, 16]}
    weight = report["tensors"]["backbone.layers.0.attn.qkv.weight"]
    assert weight["rule"] == "placed" and weight["zero_share"] == 0.5 and len(weight["blocks"]) == 6
    assert report["zero_share"] == report["between_parents"] / report["num_parameters"]


@pytest.mark.numeric
def test_two_half_width_resnet50_from_files(files, main, capsys):
    """The promise at full size: in eval mode the child's logits are the mean of the parents'."""
    from mmpretrain.registry import MODELS

    from mmrbdc.engine.configs.loading import load_model_config

    config = load_model_config(RESNET50)
    arch = architecture_from_config(config)
    half = arch.scaled(0.5)
    states = [files.random_state(half, seed) for seed in (1, 2)]
    for state in states:
        for tensor in state.values():
            if tensor.ndim > 1:
                tensor.sub_(0.6).mul_(2 / tensor[0].numel() ** 0.5)
    for path, state in zip(("a.pth", "b.pth"), states, strict=True):
        torch.save(state, path)
    main(command(RESNET50, ["a.pth", "b.pth"]))
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    logits = []
    for cfg, state in (
        *((half.classifier_config(config), state) for state in states),
        (config, read_checkpoint("out.pth").state_dict),
    ):
        model = MODELS.build(dict(cfg, _scope_="mmpretrain"))
        model.load_state_dict(state)
        model.double().eval()
        with torch.no_grad():
            logits.append(model(images.double()))
    mean = (logits[0] + logits[1]) / 2
    # Computed in float64; of what the file holds only the mean of the two biases is rounded.
    bias = (states[0]["head.fc.bias"].abs() + states[1]["head.fc.bias"].abs()).max().item()
    rounding = torch.finfo(torch.float32).eps * bias
    assert (logits[2] - mean).abs().max() < rounding + 1e-10 * mean.abs().max()
    assert ((logits[2] - logits[0]).abs().max() / mean.abs().max()) > 1e-3


def error_of(main, capsys, argv):
    """Run the tool into a mistake: one readable line, code 2, and nothing written."""
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    with pytest.raises(SystemExit) as ended:
        run_cli(partial(main, argv))
    assert ended.value.code == 2
    captured = capsys.readouterr()
    lines = captured.err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: "), captured.err
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before
    return lines[0]


@pytest.mark.parametrize("make", ["parent", "member"])
@pytest.mark.parametrize(
    ("options", "stated", "seen"),
    [
        (dict(depth=1), "depth is 1 instead of 2", "no tensor of block 1 is there"),
        (dict(depth=3), "depth is 3 instead of 2", "'backbone.layers.2.ln1.weight'"),
        (dict(patch=16), "patch_size is (16, 16) instead of (8, 8)", "the number of tokens"),
        (dict(classes=7), "num_classes is 7 instead of 5", "the number of classes is 7 here"),
        (dict(width=20, heads=5), "head size is 4 instead of 8", "not a multiple of 3 x 8"),
        (dict(width=24, heads=3), "16 + 24 = 40", "16 + 24 = 40"),
    ],
    ids=["less deep", "deeper", "patch size", "classes", "head size", "width"],
)
def test_parents_that_do_not_fit(files, main, capsys, make, options, stated, seen):
    first = files.parent("a.pth", 1)
    other = getattr(files, make)("b.pth", 2, **options)
    message = error_of(main, capsys, command(files.child, [first, other]))
    assert (stated if make == "member" else seen) in message
    assert "b.pth" in message or options.get("width") == 24


def test_a_head_size_that_only_a_config_can_tell(files, main, capsys):
    """One head of 16 instead of two of 8 has the same tensors: only who says so can refuse it."""
    one_head = files.config("one_head.py", width=16, heads=1)
    argv = command(files.child, files.two(), "--parent-config", one_head)
    assert "head size is 16 instead of 8" in error_of(main, capsys, argv)


def test_a_parent_config_of_another_width(files, main, capsys):
    thin = files.config("thin.py", width=8, heads=1)
    argv = command(files.child, files.two(), "--parent-config", thin)
    message = error_of(main, capsys, argv)
    assert "'stream' 16 wide, but deit 2x8, 1 head, 16 hidden (from thin.py)" in message


def test_a_parent_config_against_the_files_own_word(files, main, capsys):
    parents = [files.member("a.pth", 1), files.member("b.pth", 2)]
    one_head = files.config("one_head.py", width=16, heads=1)
    argv = command(files.child, parents, "--parent-config", one_head)
    message = error_of(main, capsys, argv)
    assert "a.pth says that it is deit 2x16, 2 heads" in message and "one_head.py" in message


def test_the_wrong_number_of_parent_configs(files, main, capsys):
    parents = [*files.two(), files.parent("c.pth", 3)]
    argv = command(files.child, parents, "--parent-config", "x.py", "y.py")
    assert "2 parent configs for 3 parents" in error_of(main, capsys, argv)


def test_another_family(files, main, capsys):
    (files.root / "resnet.py").write_text(RESNET)
    message = error_of(main, capsys, command("resnet.py", files.two()))
    assert "is it another family" in message
    message = error_of(main, capsys, command("resnet.py", [files.member("m.pth", 1), "a.pth"]))
    assert "family is deit instead of resnet" in message


def test_the_same_parent_twice(files, main, capsys):
    parent = files.parent("a.pth", 1)
    message = error_of(main, capsys, command(files.child, [parent, parent]))
    assert "hold the same weights" in message and "--allow-equal-parents" in message
    main(command(files.child, [parent, parent], "--allow-equal-parents"))


def test_one_parent(files, main, capsys):
    assert "two or more" in error_of(main, capsys, command(files.child, files.two()[:1]))


@pytest.mark.parametrize("change", ["missing", "extra"])
def test_missing_and_extra_keys(files, main, capsys, change):
    parents = files.two()
    state = torch.load("b.pth")
    if change == "missing":
        del state["backbone.ln1.bias"]
    else:
        state["backbone.ln9.bias"] = torch.ones(1)
    torch.save(state, "b.pth")
    message = error_of(main, capsys, command(files.child, parents))
    assert "b.pth" in message and ("ln1.bias" if change == "missing" else "ln9.bias") in message


class Foreign:
    """Pickles as a call that writes a file."""

    def __reduce__(self):
        return (Path.touch, (Path("executed"),))


def damage(path, how):
    if how == "missing":
        path.unlink()
    elif how == "truncated":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif how == "no checkpoint":
        path.write_text("weights, honestly")
    elif how == "foreign code":
        torch.save({"state_dict": {"weight": Foreign()}}, path)


@pytest.mark.parametrize("how", ["missing", "truncated", "no checkpoint", "foreign code"])
def test_files_that_are_no_parents(files, main, capsys, how):
    parents = files.two()
    damage(files.root / "b.pth", how)
    assert "b.pth" in error_of(main, capsys, command(files.child, parents))
    assert not Path("executed").exists()


def test_raw_and_averaged_parents_do_not_mix(files, main, capsys):
    parents = files.two()
    save_member("c.pth", torch.load("b.pth"), {"weights": "ema"})
    message = error_of(main, capsys, command(files.child, [parents[0], "c.pth"]))
    assert "a.pth holds raw weights and c.pth averaged ones" in message


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("nowhere.py", "nowhere.py"),
        ("mmpretrain::deit/deit-huge.py", "there is no config 'mmpretrain::deit/deit-huge.py'"),
        ("broken.py", "broken.py is not a config file"),
        ("empty.py", "has no 'model'"),
        ("mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py", "the model is a MaskRCNN"),
    ],
)
def test_configs_that_are_no_classifiers(files, main, capsys, config, words):
    (files.root / "broken.py").write_text("model = dict(")
    (files.root / "empty.py").write_text("epochs = 3\n")
    assert words in error_of(main, capsys, command(config, files.two()))


def test_existing_files_are_kept_unless_forced(files, main, capsys):
    parents = files.two()
    main(command(files.child, parents))
    first = Path("out.pth").read_bytes()
    assert "exists already" in error_of(main, capsys, command(files.child, parents))
    assert "exists already" in error_of(
        main, capsys, command(files.child, parents, "--report", "out.pth", out="2.pth")
    )
    main(command(files.child, parents[::-1], "--force"))
    assert Path("out.pth").read_bytes() != first


@pytest.mark.parametrize(("out", "words"), [("a.pth", "is the parent a.pth"), (".", "is a folder")])
def test_targets_that_are_never_written(files, main, capsys, out, words):
    argv = command(files.child, files.two(), "--force", out=out)
    assert words in error_of(main, capsys, argv)


def test_child_and_report_in_one_file(files, main, capsys):
    argv = command(files.child, files.two(), "--report", "out.pth")
    assert "is named twice" in error_of(main, capsys, argv)


def test_an_unknown_option(files, main, capsys):
    with pytest.raises(SystemExit) as ended:
        main(command(files.child, files.two(), "--faster"))
    assert ended.value.code == 2
    assert "error: " in capsys.readouterr().err


def test_an_operator_of_ones_own(files, main, capsys, tmp_path, monkeypatch):
    argv = command(files.child, files.two(), "--operator", "halved")
    assert "unknown growth operator 'halved'; there is" in error_of(main, capsys, argv)
    assert "--imports own_halved: No module" in error_of(
        main, capsys, [*argv, "--imports", "own_halved"]
    )
    (tmp_path / "own_halved.py").write_text(HALVED)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(run, "OPERATORS", dict(run.OPERATORS))
    main([*argv, "--imports", "own_halved"])
    grown = read_checkpoint("out.pth").state_dict
    main(command(files.child, files.two(), "--force"))
    plain = read_checkpoint("out.pth").state_dict
    assert all(torch.equal(2 * grown[name], plain[name]) for name in plain)


def test_a_mistake_at_the_shell(files):
    """No traceback, no warnings: one line and a code."""
    argv = [sys.executable, str(TOOL), *command(files.child, ["nowhere.pth", "b.pth"])]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and not done.stdout
    assert done.stderr == "error: checkpoint nowhere.pth does not exist\n"
