"""model-index.yml and the metafiles: every recipe is listed, and nothing that is not there."""

import ast
import shutil
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
NO_MODELS = ("_base_", "custom", "studies")
"""Fragments, templates and studies, which make many models."""
RESULTS = {
    "Image Classification": {"Top 1 Accuracy"},
    "Object Detection": {"box AP"},
    "Instance Segmentation": {"mask AP"},
}


def listed(root):
    """All models of the index, and their collections' names."""
    index = yaml.safe_load((root / "model-index.yml").read_text())
    metafiles = [yaml.safe_load((root / name).read_text()) for name in index["Import"]]
    models = [model for metafile in metafiles for model in metafile["Models"]]
    collections = [row["Name"] for metafile in metafiles for row in metafile["Collections"]]
    assert len(set(collections)) == len(collections)
    return models, collections


def shipped(root):
    """Configs of one model; short names apart."""
    found = [
        path.relative_to(root)
        for path in (root / "configs").rglob("*.py")
        if not set(NO_MODELS) & set(path.parts)
    ]
    short = {path for path in found if len(path.parts) == 2 and path.stem.endswith("_coco")}
    return set(found) - short, short


def problems(root):
    """What is missing, superfluous or wrong in the index of a repository."""
    models, collections = listed(root)
    configs, short = shipped(root)
    named = [Path(model["Config"]) for model in models]
    aliases = [alias for model in models for alias in model.get("Alias", ())]
    yield from (f"{path} is not listed" for path in configs - set(named))
    yield from (f"{path} does not exist" for path in set(named) - configs)
    yield from (f"{path} is listed twice" for path in {p for p in named if named.count(p) > 1})
    yield from (f"{path} is no alias" for path in short if aliases.count(path.stem) != 1)
    yield from (f"no {alias}" for alias in aliases if Path(f"configs/{alias}.py") not in short)
    for model, path in zip(models, named, strict=True):
        if model["Name"] != path.stem or model["In Collection"] not in collections:
            yield f"{model['Name']} has another name than its file, or no collection"
        for result in model["Results"]:
            if result["Metrics"].keys() != RESULTS.get(result["Task"]) or not result["Dataset"]:
                yield f"{model['Name']} has odd results: {result}"
            if (root / path).exists():
                text = ast.get_docstring(ast.parse((root / path).read_text()))
                values = [value for value in result["Metrics"].values() if value is not None]
                yield from (f"{path} does not say {v}" for v in values if f" {v} " not in text)


@pytest.fixture
def copy(tmp_path):
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    shutil.copy(ROOT / "model-index.yml", tmp_path)
    return tmp_path


def test_the_index_is_complete():
    assert list(problems(ROOT)) == []
    models, _ = listed(ROOT)
    assert len(models) > 50


def test_every_metafile_is_imported():
    found = {str(p.relative_to(ROOT)) for p in (ROOT / "configs").rglob("metafile.yml")}
    assert set(yaml.safe_load((ROOT / "model-index.yml").read_text())["Import"]) == found


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("configs/rbdc/deit-b_1step_in1k.py", "configs/rbdc/deit-b_9step_in1k.py", "not listed"),
        ("configs/rbdc/deit-b_1step_in1k.py", "configs/rbdc/deit-b_9step_in1k.py", "not exist"),
        ("Name: deit-b_1step_in1k", "Name: deit-b", "another name"),
        ("Top 1 Accuracy: null", "Top 1 Accuracy: 83.1", "does not say 83.1"),
        ("Top 1 Accuracy", "Accuracy", "odd results"),
    ],
)
def test_a_wrong_entry_is_found(copy, old, new, problem):
    file = copy / "configs" / "rbdc" / "metafile.yml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    assert any(problem in found for found in problems(copy))


def test_a_new_config_and_a_lost_alias_are_found(copy):
    (copy / "configs" / "detection" / "new.py").write_text('"""New."""\n')
    (copy / "configs" / "mask-rcnn_rbdc-r50_coco.py").unlink()
    found = set(problems(copy))
    assert found == {"configs/detection/new.py is not listed", "no mask-rcnn_rbdc-r50_coco"}
