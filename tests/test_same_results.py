"""tools/dev/same_results.py: what it looks at, and that every kind of difference is one."""

import json

import pytest
import same_results
import torch
from result_files import compare_folders
from safetensors.torch import save_file


def weights():
    return {"head.weight": torch.ones(2, 3), "head.bias": torch.zeros(2)}


def fill(folder):
    """The files of a protocol and of a detector, as far as they are compared."""
    stage = folder / "run" / "stage0_2x48"
    (stage / "members").mkdir(parents=True)
    detector = folder / "detector"
    detector.mkdir()
    torch.save({"state_dict": weights(), "meta": {"made": folder.name}}, stage / "members/0.pth")
    torch.save({"state_dict": weights()}, stage / "epoch_9.pth")
    save_file(weights(), folder / "run" / "run.safetensors")
    for number in (9, 10):
        torch.save({"state_dict": weights()}, detector / f"epoch_{number}.pth")
    files = {
        "run/ledger.json": dict(total_flops=1e12, stages=[dict(flops=1e12, wall_s=3.0)]),
        "run/stage0_2x48/junction.json": dict(
            config_hash="ab", flops=5.0, children=[dict(child=9)]
        ),
        "run/test.json": dict(top1=98.5, checkpoint=dict(path=folder.name)),
        "detector/predictions.bbox.json": [dict(image_id=1, bbox=[1, 2, 3, 4.5], score=0.5)],
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))


@pytest.fixture
def sides(tmp_path):
    for side in "ab":
        fill(tmp_path / side)
    return tmp_path / "a", tmp_path / "b"


def edit(path, *keys, value):
    content = json.loads(path.read_text())
    node = content
    for key in keys[:-1]:
        node = node[key]
    node[keys[-1]] = value
    path.write_text(json.dumps(content))


def test_equal_runs_in_other_folders_at_other_times_are_equal(sides):
    edit(sides[1] / "run/ledger.json", "stages", 0, "wall_s", value=4.0)
    edit(sides[1] / "run/stage0_2x48/junction.json", "config_hash", value="cd")
    compared, found = compare_folders(*sides)
    assert compared == 3 * 2 + 2 + 2 + 1 + 6
    assert found == []


@pytest.mark.parametrize(
    ("file", "keys", "value"),
    [
        ("run/test.json", ("top1",), 98.50000000000001),
        ("run/stage0_2x48/junction.json", ("children", 0, "child"), 10),
        ("detector/predictions.bbox.json", (0, "bbox", 3), 4.500000000000001),
    ],
)
def test_a_last_digit_is_a_difference(sides, file, keys, value):
    edit(sides[1] / file, *keys, value=value)
    _, (found,) = compare_folders(*sides)
    assert found.file == file and not found.in_ledger


def test_a_ledger_is_told_apart_from_a_result(sides):
    edit(sides[1] / "run/ledger.json", "total_flops", value=2e12)
    edit(sides[1] / "run/stage0_2x48/junction.json", "flops", value=6.0)
    _, found = compare_folders(*sides)
    assert len(found) == 2 and all(one.in_ledger for one in found)
    assert (found[0].old, found[0].new) == ("1000000000000.0", "2000000000000.0")


def changed(path, name, value):
    content = torch.load(path)
    content["state_dict"][name] = value
    torch.save(content, path)


@pytest.mark.parametrize("value", [torch.ones(2, 3).double(), torch.ones(3, 2), torch.eye(2, 3)])
@pytest.mark.parametrize("file", ["run/stage0_2x48/members/0.pth", "detector/epoch_10.pth"])
def test_a_tensor_of_another_kind_size_or_value_is_a_difference(sides, file, value):
    changed(sides[1] / file, "head.weight", value)
    _, (found,) = compare_folders(*sides)
    assert (found.file, found.what) == (file, "head.weight")


def test_files_for_resuming_are_not_results(sides):
    changed(sides[1] / "run/stage0_2x48/epoch_9.pth", "head.bias", torch.ones(2))
    changed(sides[1] / "detector/epoch_9.pth", "head.bias", torch.ones(2))
    assert compare_folders(*sides)[1] == []


def test_a_missing_file_and_a_missing_tensor_are_differences(sides):
    (sides[1] / "run/test.json").unlink()
    save_file({"head.bias": torch.zeros(2)}, sides[0] / "run" / "run.safetensors")
    _, found = compare_folders(*sides)
    assert [(one.what, one.old != one.new) for one in found] == [("head.weight", True), ("", True)]


def test_a_commit_that_is_none_is_said(capsys):
    assert same_results.main(["HEAD", "no-such-commit"]) == 2
    assert capsys.readouterr().err.startswith("error: fatal")


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_commit_has_the_results_of_itself(capsys):
    assert same_results.main(["HEAD", "HEAD", "--cases", "killed", "detector"]) == 0
    assert capsys.readouterr().out.endswith("equal\n")
