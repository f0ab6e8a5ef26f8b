"""mmcv without compiled ops (`make env OPS=0`): the pretraining path runs, detectors say why not.

mmcv-lite is mmcv without one file, the compiled extension; here mmcv is imported from links to all
of its files but that one.
"""

import importlib.util
import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from mmrbdc import ops

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def python(tiny, tmp_path_factory):
    """Run the project's tools in an environment whose mmcv has no ops."""
    where = tmp_path_factory.mktemp("without_ops")
    installed = Path(importlib.util.find_spec("mmcv").origin).parent
    left_out = shutil.ignore_patterns("_ext.*", "__pycache__")
    shutil.copytree(installed, where / "mmcv", copy_function=os.symlink, ignore=left_out)
    path = os.pathsep.join(filter(None, [str(where), os.environ.get("PYTHONPATH")]))

    def run(*command, code=0):
        return tiny.run(sys.executable, *command, code=code, PYTHONPATH=path)

    return run


ALL = """
import json, runpy, sys
from mmrbdc.check_env import run_ops
for command in json.loads(sys.argv[1]):
    print("==", command[0])
    sys.argv = command
    try:
        runpy.run_path(command[0], run_name="__main__")
    except SystemExit as end:
        print("== code", end.code or 0)
run_ops()
"""
"""Several tools in one process: most of their time is importing torch."""


def test_protocols_train_grow_and_convert_and_detectors_say_what_is_missing(python, tiny):
    epochs = {f"stages__{i}__epochs": 0.4 for i in range(3)}
    config, tools = Path(tiny.config), ROOT / "tools"
    final = f"without_ops/{config.stem}.pth"
    detector = str(ROOT / "configs" / "mask-rcnn_rbdc-r50_coco.py")
    commands = [
        [str(tools / "plan.py"), str(config)],
        [str(tools / "train.py"), *tiny.arguments("without_ops", **epochs)],
        [str(tools / "model_converters" / "convert.py"), final, "timm.pth", "--to", "timm"],
        [str(tools / "train.py"), detector, "--work-dir", "detector"],
    ]
    done = python("-c", ALL, json.dumps(commands))
    said = done.stdout.split("== code ")
    codes = [part.split()[0] for part in said[1:]]
    # A tool that ends well does not exit: three of four come back without a code.
    assert codes == ["2"], done.stdout + done.stderr
    assert done.stderr.strip().splitlines()[-1] == f"error: {ops.NO_OPS}"
    assert not (tiny.place / "detector").exists()
    assert "TFLOPs" in said[0] and '{"ops": false}' in said[-1]
    assert (tiny.place / final).exists() and (tiny.place / "timm.pth").exists()
    assert (tiny.place / "without_ops" / "stage2_1x96" / "junction.json").exists()


IMPORTS = """
import warnings, {}
from mmcv.cnn.bricks import transformer
assert not hasattr(transformer, "MultiScaleDeformableAttention")
warnings.warn("another UserWarning")
"""


@pytest.mark.parametrize("library", ["mmrbdc.datasets", "mmrbdc.cli, mmpretrain.models"])
def test_the_absence_of_ops_is_no_warning_and_other_warnings_are_told(python, library):
    """As the server of forks begins, and as command lines do."""
    told = python("-c", IMPORTS.format(library)).stderr
    assert "MultiScaleDeformableAttention" not in told, told
    assert "UserWarning: another UserWarning" in told


@pytest.mark.parametrize(
    "config",
    [
        {"default_scope": "mmdet"},
        {"default_scope": "mmpretrain", "model": {"type": "mmdet.MaskRCNN"}},
        {"train_dataloader": {"dataset": {"pipeline": [{"type": "mmdet.PackDetInputs"}]}}},
    ],
)
def test_what_asks_for_mmdetection_is_refused_without_ops_only(config, monkeypatch):
    ops.check_ops(config)
    monkeypatch.setattr(ops, "has_ops", lambda: False)
    with pytest.raises(ValueError, match="make env OPS=1"):
        ops.check_ops(config)
    ops.check_ops({"default_scope": "mmpretrain", "model": {"type": "ImageClassifier"}})


def test_an_error_is_known_by_its_cause():
    missing = ModuleNotFoundError("No module named 'mmcv._ext'", name="mmcv._ext")
    again = ImportError("Failed to import mmrbdc.models")
    again.__context__ = missing
    assert ops.lacks_ops(missing) and ops.lacks_ops(again)
    assert not ops.lacks_ops(ModuleNotFoundError("No module named 'x'", name="x"))
