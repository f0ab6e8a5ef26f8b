"""Data: the sets that the program makes for itself, checks before training, replayable loading.

``digits`` and ``scenes`` are not imported here: a run on other data needs none of their packages.
"""

from mmrbdc.datasets.check import check_config_data, check_data
from mmrbdc.datasets.errors import DataError
from mmrbdc.datasets.loading import LoadImageFromFile
from mmrbdc.datasets.replay import Draw, ReplayableDataset, ReplayableSampler
from mmrbdc.datasets.workers import leave_sigterm_to_parent

__all__ = [
    "DataError",
    "Draw",
    "LoadImageFromFile",
    "ReplayableDataset",
    "ReplayableSampler",
    "check_config_data",
    "check_data",
    "leave_sigterm_to_parent",
]
