"""tools/grow.py: what parents were trained on goes on to their child, and is looked at."""

import json
from functools import partial
from pathlib import Path

import pytest
import torch

from mmrbdc.cli import run_cli
from mmrbdc.weights import DataRecord, Preprocessing, read_checkpoint, save_member
from mmrbdc.weights.libraries import from_mmpretrain
from tests.tools.grow.calls import command

RECORD = DataRecord(
    Preprocessing((120.0, 110.0, 100.0), (60.0, 50.0, 40.0), "rgb", (32, 32)), tuple("abcde")
)
PREPROCESSOR = """
data_preprocessor = dict(mean=[120.0, 110.0, 100.0], std=[60.0, 50.0, 40.0], to_rgb={to_rgb})
"""


def member(files, name, seed, record=RECORD):
    state, arch = files.state(seed)
    meta = {"family": arch.family, "architecture": arch.to_dict()}
    save_member(files.root / name, state, {**meta, **record.to_meta()})
    return name


def refusal(main, capsys, argv):
    with pytest.raises(SystemExit) as ended:
        run_cli(partial(main, argv))
    assert ended.value.code == 2 and not Path("out.pth").exists()
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


def child_record():
    return DataRecord.from_meta(read_checkpoint("out.pth").meta, "out.pth")


def test_the_record_is_carried_on(files, main, capsys):
    parents = [member(files, "a.pth", 1), member(files, "b.pth", 2)]
    main(command(files.child, parents, "--report", "report.json"))
    assert child_record() == RECORD
    assert f"data     preprocessing: {RECORD.preprocessing.label}" in capsys.readouterr().out
    assert json.loads(Path("report.json").read_text())["data"] == {
        **RECORD.to_meta(), "remarks": []
    }  # fmt: skip


@pytest.mark.parametrize(
    "other",
    [
        DataRecord(RECORD.preprocessing.swapped(), RECORD.classes),
        DataRecord(RECORD.preprocessing, tuple("edcba")),
    ],
    ids=["colours", "classes"],
)
def test_parents_that_differ(files, main, capsys, other):
    parents = [member(files, "a.pth", 1), member(files, "b.pth", 2, other)]
    line = refusal(main, capsys, command(files.child, parents))
    assert "a.pth and b.pth" in line and "--allow-different-data" in line
    main(command(files.child, parents, "--allow-different-data"))
    assert child_record() not in (RECORD, other)
    assert "not recorded" in capsys.readouterr().out


def test_files_that_do_not_say(files, main, capsys):
    main(command(files.child, files.two()))
    assert child_record() == DataRecord()
    assert "data     preprocessing: not recorded" in capsys.readouterr().out


def test_a_parents_config_says_it_where_the_file_does_not(files, main, capsys):
    config = files.config("half.py", width=16, heads=2, more=PREPROCESSOR.format(to_rgb=True))
    main(command(files.child, files.two(), "--parent-config", config))
    assert child_record().preprocessing.same_numbers(RECORD.preprocessing)
    Path("out.pth").unlink()
    wrong = files.config("bgr.py", width=16, heads=2, more=PREPROCESSOR.format(to_rgb=False))
    parents = [member(files, "c.pth", 1), member(files, "d.pth", 2)]
    line = refusal(main, capsys, command(files.child, parents, "--parent-config", wrong))
    assert "c.pth and its config bgr.py differ" in line and "RGB" in line and "BGR" in line


def test_a_config_of_the_child_for_other_images_is_told(files, main, capsys):
    child = files.config("bgr_child.py", more=PREPROCESSOR.format(to_rgb=False))
    main(command(child, [member(files, "a.pth", 1), member(files, "b.pth", 2)]))
    assert "WARNING: the child's config gives it images of" in capsys.readouterr().out
    assert child_record() == RECORD


def test_timms_parents_say_it_in_the_config_beside_them(files, main):
    own = dict(mean=[0.5, 0.4, 0.3], std=[0.2, 0.2, 0.2], input_size=[3, 32, 32])
    Path("config.json").write_text(json.dumps(dict(num_classes=5, pretrained_cfg=own)))
    for path in files.two():
        torch.save(from_mmpretrain(torch.load(path), "timm", "deit")[0], f"timm_{path}")
    main(command(files.child, ["timm_a.pth", "timm_b.pth"]))
    expected = Preprocessing((127.5, 102.0, 76.5), (51.0, 51.0, 51.0), "rgb", (32, 32))
    assert child_record().preprocessing.same_numbers(expected)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_parent_that_is_no_number(files, main, capsys, value):
    state = torch.load(files.parent("a.pth", 1))
    state["backbone.layers.1.attn.qkv.weight"][5, 6] = value
    torch.save(state, "spoiled.pth")
    line = refusal(main, capsys, command(files.child, ["spoiled.pth", files.parent("b.pth", 2)]))
    assert "spoiled.pth: backbone.layers.1.attn.qkv.weight has 1 " in line


def test_a_child_that_is_no_number(files, main, capsys, monkeypatch):
    """An operator of one's own that divides by zero."""
    Path("dividing.py").write_text(
        "from mmrbdc.growth import Operator, block_diagonal, register_operator\n"
        "def grow(parents, layout, *, generator=None, context=None):\n"
        "    child = block_diagonal.grow(parents, layout)\n"
        "    child['backbone.cls_token'] = child['backbone.cls_token'] / 0\n"
        "    return child\n"
        "register_operator(Operator('dividing', grow, block_diagonal.describe, parents='sum'))\n"
    )
    monkeypatch.syspath_prepend(str(Path.cwd()))
    options = ["--imports", "dividing", "--operator", "dividing"]
    line = refusal(main, capsys, command(files.child, files.two(), *options))
    assert "not written: out.pth: backbone.cls_token has 32 infinite of 32" in line
