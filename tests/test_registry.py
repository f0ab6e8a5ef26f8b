"""Types of scope ``mmrbdc`` are found by name alone, by a process that imported nothing of ours."""

import subprocess
import sys

import pytest

TYPES = {
    "RUNNERS": ["StagedRunner"],
    "LOOPS": ["StageLoop"],
    "HOOKS": [
        "AverageBuffersHook",
        "CheckpointHook",
        "LedgerHook",
        "LoadReportHook",
        "MemberExportHook",
        "ProgressHook",
        "WallClockHook",
    ],
    "OPTIM_WRAPPERS": ["SiblingsOptimWrapper"],
    "OPTIM_WRAPPER_CONSTRUCTORS": ["MergedGroupsConstructor"],
    "METRICS": ["MemberAccuracy"],
    "WEIGHT_INITIALIZERS": ["Grown", "Transferred"],
    "MODELS": ["Siblings", "SiblingsDataPreprocessor", "DeiT", "ResNet", "SimpleFeaturePyramid"],
    "DATASETS": ["ReplayableDataset"],
    "DATA_SAMPLERS": ["ReplayableSampler"],
}
"""What shipped configs name, and the staged runner in the configs that it writes."""

SCRIPT = """
import mmengine.registry as registries
from mmengine.registry import HOOKS, init_default_scope

init_default_scope({scope!r})
for registry, names in {types!r}.items():
    for name in names:
        found = getattr(registries, registry).get("mmrbdc." + name)
        assert found is not None and found.__name__ == name, (registry, name)
assert HOOKS.build(dict(type="mmrbdc.WallClockHook")).wall_s > 0
"""


@pytest.mark.parametrize("scope", ["mmpretrain", "mmdet"])
def test_types_are_found_under_any_default_scope(scope):
    script = SCRIPT.format(scope=scope, types=TYPES)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
