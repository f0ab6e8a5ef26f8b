"""MMEngine's side: the staged runner, its hooks, loop, initialiser and optimizer wrapper.

Lowest room first: ``process``, ``inputs``, ``configs``, ``cost``, ``evaluation``, ``hooks``,
``optim`` and ``checks``, ``unfreezing``, ``training``, ``junctions``, ``search``, ``stages``,
``steps``; ``launch`` on top.
``evaluation.coco_metric`` is not imported here: it needs MMDetection, and planning and pretraining
do not.
"""

from mmrbdc.engine.evaluation.member_accuracy import MemberAccuracy
from mmrbdc.engine.hooks.average_buffers import AverageBuffersHook
from mmrbdc.engine.hooks.checkpoint import CheckpointHook
from mmrbdc.engine.hooks.detector_cost import DetectorCostHook
from mmrbdc.engine.hooks.finite_loss import FiniteLossHook
from mmrbdc.engine.hooks.ledger import LedgerHook
from mmrbdc.engine.hooks.load_report import LoadReportHook
from mmrbdc.engine.hooks.member_export import MemberExportHook
from mmrbdc.engine.hooks.preemption import PreemptionHook
from mmrbdc.engine.hooks.progress import ProgressHook
from mmrbdc.engine.hooks.reading import ReadingHook
from mmrbdc.engine.hooks.schedule_start import ScheduleStartHook
from mmrbdc.engine.hooks.throughput import ThroughputHook
from mmrbdc.engine.hooks.train_record import TrainRecordHook
from mmrbdc.engine.hooks.wall_clock import WallClockHook
from mmrbdc.engine.junctions.grown import Grown
from mmrbdc.engine.optim.amp import BFloat16OptimWrapper
from mmrbdc.engine.optim.layer_decay import LayerDecayError, LayerDecayOptimWrapperConstructor
from mmrbdc.engine.optim.siblings import MergedGroupsConstructor, SiblingsOptimWrapper
from mmrbdc.engine.search.moving_average import MovingAverageHook
from mmrbdc.engine.stages.loop import ResumableLoop, StageLoop
from mmrbdc.engine.steps.staged_runner import StagedRunner
from mmrbdc.engine.unfreezing.hook import UnfreezeHook

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
    "LoadReportHook",
    "MemberAccuracy",
    "MemberExportHook",
    "MergedGroupsConstructor",
    "MovingAverageHook",
    "PreemptionHook",
    "ProgressHook",
    "ReadingHook",
    "ResumableLoop",
    "ScheduleStartHook",
    "SiblingsOptimWrapper",
    "StageLoop",
    "StagedRunner",
    "ThroughputHook",
    "TrainRecordHook",
    "UnfreezeHook",
    "WallClockHook",
]
