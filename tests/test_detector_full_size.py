"""The full-size detector configs, started by the promised command line on a tiny COCO set."""

import json
import shutil
from pathlib import Path

import pytest
from mmengine.config import Config

from tests.tiny_coco import ROOT, as_arguments, make_coco, publish_random_backbone, tiny_options

RECIPES = sorted((ROOT / "configs" / "detection").glob("*.py"))

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:pkg_resources")]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with data/coco, and in the end gigabytes of backbones."""
    root = tmp_path_factory.mktemp("place")
    make_coco(root / "data" / "coco")
    yield root
    shutil.rmtree(root)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("path", RECIPES, ids=[path.stem for path in RECIPES])
def test_two_steps_through_options_alone(tiny, place, path):
    init_cfg = Config.fromfile(path).model.backbone.get("init_cfg")
    transferred = isinstance(init_cfg, dict) and init_cfg["type"] == "mmrbdc.Transferred"
    name = publish_random_backbone(place, init_cfg) if transferred else None
    options = as_arguments(tiny_options(path))
    tiny.tool("train.py", path, "--cfg-options", *options, cwd=place, timeout=1800)
    work_dir = place / "work_dirs" / Path(path).stem
    report = json.loads((work_dir / "load_report.json").read_text())
    if transferred:
        assert report["load"]["share"] == 1 and report["checkpoint"]["name"] == name
    else:
        assert report["checkpoint"] is None
    log = next(work_dir.glob("2*/*.log")).read_text()
    assert "Epoch(train) [1][2/2]" in log and "loss: nan" not in log
    shutil.rmtree(work_dir)
