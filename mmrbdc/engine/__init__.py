"""MMEngine's side: the staged runner, its hooks, loop, initialiser and optimizer wrapper."""

from mmrbdc.engine.buffers import AverageBuffersHook
from mmrbdc.engine.checkpoint_hook import CheckpointHook
from mmrbdc.engine.grown import Grown
from mmrbdc.engine.ledger import LedgerHook
from mmrbdc.engine.loop import StageLoop
from mmrbdc.engine.members import MemberExportHook
from mmrbdc.engine.metrics import MemberAccuracy
from mmrbdc.engine.optim import MergedGroupsConstructor, SiblingsOptimWrapper
from mmrbdc.engine.progress import ProgressHook
from mmrbdc.engine.staged_runner import StagedRunner
from mmrbdc.engine.wall_clock import WallClockHook

__all__ = [
    "AverageBuffersHook",
    "CheckpointHook",
    "Grown",
    "LedgerHook",
    "MemberAccuracy",
    "MemberExportHook",
    "MergedGroupsConstructor",
    "ProgressHook",
    "SiblingsOptimWrapper",
    "StageLoop",
    "StagedRunner",
    "WallClockHook",
]
