"""MMEngine's side: the staged runner, its hooks, loop, initialiser and optimizer wrapper.

``coco_metric`` is not imported here: it needs MMDetection, and planning and pretraining do not.
"""

from mmrbdc.engine.amp import BFloat16OptimWrapper
from mmrbdc.engine.buffers import AverageBuffersHook
from mmrbdc.engine.checkpoint_hook import CheckpointHook
from mmrbdc.engine.detector_cost import DetectorCostHook
from mmrbdc.engine.detector_test import ThroughputHook
from mmrbdc.engine.finite import FiniteLossHook
from mmrbdc.engine.grown import Grown
from mmrbdc.engine.layer_decay import LayerDecayError, LayerDecayOptimWrapperConstructor
from mmrbdc.engine.ledger import LedgerHook
from mmrbdc.engine.loading_errors import ReadingHook
from mmrbdc.engine.loop import StageLoop
from mmrbdc.engine.members import MemberExportHook
from mmrbdc.engine.metrics import MemberAccuracy
from mmrbdc.engine.optim import MergedGroupsConstructor, SiblingsOptimWrapper
from mmrbdc.engine.preemption import PreemptionHook
from mmrbdc.engine.progress import ProgressHook
from mmrbdc.engine.staged_runner import StagedRunner
from mmrbdc.engine.train_record import TrainRecordHook
from mmrbdc.engine.wall_clock import WallClockHook

__all__ = [
    "AverageBuffersHook",
    "BFloat16OptimWrapper",
    "CheckpointHook",
    "DetectorCostHook",
    "FiniteLossHook",
    "Grown",
    "LayerDecayError",
    "LayerDecayOptimWrapperConstructor",
    "LedgerHook",
    "MemberAccuracy",
    "MemberExportHook",
    "MergedGroupsConstructor",
    "PreemptionHook",
    "ProgressHook",
    "ReadingHook",
    "SiblingsOptimWrapper",
    "StageLoop",
    "StagedRunner",
    "ThroughputHook",
    "TrainRecordHook",
    "WallClockHook",
]
