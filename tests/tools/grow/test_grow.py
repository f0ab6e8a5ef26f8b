"""tools/grow.py as a user runs it: files in, a file out."""

import json
from pathlib import Path

import pytest
import torch

from mmrbdc.families import architecture_from_config, architecture_from_dict
from mmrbdc.growth import grow, run
from mmrbdc.weights import read_checkpoint
from mmrbdc.weights.libraries import from_mmpretrain
from tests.tools.grow.calls import command, error_of, same

RESNET50 = "mmpretrain::resnet/resnet50_8xb32_in1k.py"
STAGES = "stages = [dict(members=2, width=0.5, epochs=1), dict(members=1, width=1, epochs=1)]\n"

HALVED = """
from mmrbdc.growth import Operator, block_diagonal, register_operator


def grow(parents, layout, *, generator=None, context=None):
    child = block_diagonal.grow(parents, layout)
    return {name: tensor / 2 for name, tensor in child.items()}


register_operator(Operator("halved", grow, block_diagonal.describe, parents="sum"))
"""


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
