"""tools/publish_model.py as a user runs it: what it writes loads again and says what it is."""

import hashlib
import json
import runpy
from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS as MMDET

from mmrbdc.families import architecture_from_config
from mmrbdc.weights import DataRecord, Preprocessing, WeightsError, read_checkpoint, save_member
from tests.weights.library_models import MODELS, vit

ARCHITECTURE = architecture_from_config(MODELS["timm-vit"].classifier())
META = dict(
    family="deit",
    architecture=ARCHITECTURE.to_dict(),
    name="grown",
    weights="ema",
    method="rbdc",
    stages=[dict(members=2, width="1/2", epochs=1, flops=1.0)],
    parents=["ab" * 32, "cd" * 32],
    train_flops=1e9,
    accuracy={"val/top1": 90.0},
    versions={"mmrbdc": "0"},
)


@pytest.fixture(scope="module")
def main():
    tool = Path(__file__).parents[2] / "tools" / "publish_model.py"
    return runpy.run_path(str(tool))["main"]


@pytest.fixture(scope="module")
def final(tmp_path_factory):
    """A run's final file: a classifier and its meta."""
    layout = ARCHITECTURE.layout()
    torch.manual_seed(0)
    tensors = {name: torch.randn(layout.shape(name)) for name in layout.entries}
    path = tmp_path_factory.mktemp("run") / "grown.pth"
    save_member(path, tensors, META)
    return path


def publish(main, *arguments):
    return main([str(argument) for argument in arguments])


def test_three_files_with_a_hash_in_their_name(main, final, tmp_path, capsys):
    publish(main, final, "--out", tmp_path / "published")
    files = sorted((tmp_path / "published").iterdir())
    assert [file.suffix for file in files] == [".json", ".pth", ".safetensors"]
    json_file, pth, safetensors = files
    digest = hashlib.sha256(pth.read_bytes()).hexdigest()
    assert {file.stem for file in files} == {f"grown-{digest[:8]}"}
    side_car = json.loads(json_file.read_text())
    assert side_car["sha256"] == digest and side_car["width"] == 32
    assert {key: side_car[key] for key in META} == META
    assert side_car["backbone_of"]["sha256"] == read_checkpoint(final).sha256
    assert "null" not in capsys.readouterr().out
    whole = read_checkpoint(final).state_dict
    for file in (pth, safetensors):
        tensors = read_checkpoint(file).state_dict
        assert {f"backbone.{n}" for n in tensors} == {n for n in whole if "head" not in n}
        assert all(torch.equal(t, whole[f"backbone.{n}"]) for n, t in tensors.items())


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_a_detectors_backbone_takes_them(main, final, tmp_path, suffix):
    publish(main, final, "--out", tmp_path)
    (file,) = tmp_path.glob(f"*.{suffix}")
    init_cfg = dict(type="mmrbdc.Transferred", checkpoint=str(file))
    backbone = MMDET.build(dict(vit(), type="mmrbdc.DeiT", init_cfg=init_cfg))
    backbone.init_weights()
    report = backbone.load_report
    assert report["load"]["share"] == 1 and report["left_behind"] == []
    assert report["checkpoint"]["train_flops"] == 1e9 and report["checkpoint"]["prefix"] == ""


def test_nothing_is_overwritten(main, final, tmp_path):
    publish(main, final, "--out", tmp_path)
    before = {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    with pytest.raises(WeightsError, match="exists already"):
        publish(main, final, "--out", tmp_path)
    assert {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()} == before


def test_missing_facts_are_null_and_named(main, tmp_path, capsys):
    """A file of another library says nothing of its training."""
    torch.save(MODELS["timm-resnet18"].build()[0], tmp_path / "theirs.pth")
    publish(main, tmp_path / "theirs.pth", "--out", tmp_path / "out", "--name", "r18")
    missing = "method, stages, parents, train_flops, accuracy, versions"
    assert f"null in the side-car: {missing}" in capsys.readouterr().out
    (file,) = (tmp_path / "out").glob("r18-*.json")
    side_car = json.loads(file.read_text())
    assert side_car["family"] == "resnet" and side_car["width"] == 8
    assert side_car["architecture"]["depth"] == 18
    assert all(side_car[name] is None for name in missing.split(", "))


def test_a_broken_file_leaves_nothing(main, tmp_path):
    tensors = MODELS["timm-vit"].build()[0]
    del tensors["blocks.0.mlp.fc1.weight"]
    torch.save(tensors, tmp_path / "theirs.pth")
    with pytest.raises(WeightsError, match=r"lacks backbone\.layers\.0\.ffn"):
        publish(main, tmp_path / "theirs.pth", "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


RECORD = DataRecord(
    Preprocessing((120.0, 110.0, 100.0), (60.0, 50.0, 40.0), "bgr", (32, 32), 36, "bicubic"),
    ("Öl", "b c", "d", "e", "5"),
)


def test_what_the_weights_were_trained_on_is_in_all_three(main, final, tmp_path, capsys):
    tensors = read_checkpoint(final).state_dict
    save_member(tmp_path / "final.pth", tensors, {**META, **RECORD.to_meta()})
    publish(main, tmp_path / "final.pth", "--out", tmp_path / "out")
    assert RECORD.preprocessing.label in capsys.readouterr().out
    (side_car,) = (tmp_path / "out").glob("*.json")
    assert DataRecord.from_meta(json.loads(side_car.read_text()), "side-car") == RECORD
    for suffix in ("pth", "safetensors"):
        (file,) = (tmp_path / "out").glob(f"*.{suffix}")
        assert DataRecord.from_meta(read_checkpoint(file).meta, file) == RECORD


def test_what_is_not_known_is_absent_and_said(main, final, tmp_path, capsys):
    publish(main, final, "--out", tmp_path)
    text = capsys.readouterr().out
    assert "preprocessing: not recorded" in text and "classes: not recorded" in text
    (side_car,) = tmp_path.glob("*.json")
    assert not {"preprocessing", "dataset_meta"} & json.loads(side_car.read_text()).keys()


@pytest.mark.parametrize("name", ["mine.pth", "sub/mine.v2.safetensors", "a.json"])
def test_a_file_is_no_folder_to_publish_into(main, final, tmp_path, name):
    with pytest.raises(ValueError, match=r"name the folder .* with --name (mine|a)"):
        publish(main, final, "--out", tmp_path / name)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "old.pth").mkdir()
    publish(main, final, "--out", tmp_path / "old.pth")  # who has such a folder may fill it
    assert len(list((tmp_path / "old.pth").iterdir())) == 3


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_not_published(main, tmp_path, value):
    tensors = MODELS["timm-resnet18"].build()[0]
    tensors["layer2.0.bn1.running_mean"][3] = value
    torch.save(tensors, tmp_path / "theirs.pth")
    with pytest.raises(WeightsError, match=r"theirs\.pth: layer2\.0\.bn1\.running_mean has 1 "):
        publish(main, tmp_path / "theirs.pth", "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()
