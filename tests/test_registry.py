"""Types of scope ``mmrbdc`` are found by name alone, by a process that imported nothing of ours."""

import subprocess
import sys

from mmrbdc.ops import has_ops

TYPES = {
    "RUNNERS": ["StagedRunner"],
    "LOOPS": ["ResumableLoop", "StageLoop"],
    "HOOKS": [
        "AverageBuffersHook",
        "CheckpointHook",
        "LedgerHook",
        "LoadReportHook",
        "MemberExportHook",
        "ProgressHook",
        "UnfreezeHook",
        "ScheduleStartHook",
        "WallClockHook",
    ],
    "OPTIM_WRAPPERS": ["SiblingsOptimWrapper"],
    "OPTIM_WRAPPER_CONSTRUCTORS": ["MergedGroupsConstructor"],
    "METRICS": ["MemberAccuracy"],
    "WEIGHT_INITIALIZERS": ["Grown", "Transferred"],
    "MODELS": ["Siblings", "SiblingsDataPreprocessor", "DeiT", "ResNet", "SimpleFeaturePyramid"],
    "DATASETS": ["ReplayableDataset", *(["CocoDataset"] if has_ops() else [])],
    "DATA_SAMPLERS": ["ReplayableBatchSampler", "ReplayableSampler"],
    "TRANSFORMS": ["LoadImageFromFile", "RandomResizedCrop"],
    "FUNCTIONS": ["leave_sigterm_to_parent"],
}
"""What shipped configs name, and the staged runner in the configs that it writes."""

SCRIPT = """
import mmengine.registry as registries
from mmengine.registry import DefaultScope

for scope in {scopes!r}:
    with DefaultScope.overwrite_default_scope(scope):
        for registry, names in {types!r}.items():
            for name in names:
                found = getattr(registries, registry).get("mmrbdc." + name)
                assert found is not None and found.__name__ == name, (scope, registry, name)
        hook = registries.HOOKS.build(dict(type="mmrbdc.WallClockHook"))
        assert type(hook).__module__.startswith("mmrbdc.")
"""


def test_types_are_found_under_any_default_scope():
    scopes = [*(["mmdet"] if has_ops() else []), "mmpretrain"]
    script = SCRIPT.format(scopes=scopes, types=TYPES)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
