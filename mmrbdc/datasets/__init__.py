"""Data: the sets that the program makes for itself, checks before training, replayable loading.

Names are imported when they are asked for: who reads annotations needs nothing of OpenMMLab, and a
run on other data none of the packages of ``made``. Registered types are found through the
locations in ``mmrbdc.registry``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mmrbdc.datasets.errors import DataError

if TYPE_CHECKING:
    from mmrbdc.datasets.check import check_config_data, check_data
    from mmrbdc.datasets.folders.dataset import CustomDataset, ImageNet
    from mmrbdc.datasets.loading.replay import (
        Draw,
        ReplayableBatchSampler,
        ReplayableDataset,
        ReplayableSampler,
    )
    from mmrbdc.datasets.loading.workers import leave_sigterm_to_parent
    from mmrbdc.datasets.pictures.crop import RandomResizedCrop
    from mmrbdc.datasets.pictures.load import LoadImageFromFile

__all__ = [
    "CustomDataset",
    "DataError",
    "Draw",
    "ImageNet",
    "LoadImageFromFile",
    "RandomResizedCrop",
    "ReplayableBatchSampler",
    "ReplayableDataset",
    "ReplayableSampler",
    "check_config_data",
    "check_data",
    "leave_sigterm_to_parent",
]
_PLACES = {
    "CustomDataset": "folders.dataset",
    "Draw": "loading.replay",
    "ImageNet": "folders.dataset",
    "LoadImageFromFile": "pictures.load",
    "RandomResizedCrop": "pictures.crop",
    "ReplayableBatchSampler": "loading.replay",
    "ReplayableDataset": "loading.replay",
    "ReplayableSampler": "loading.replay",
    "check_config_data": "check",
    "check_data": "check",
    "leave_sigterm_to_parent": "loading.workers",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
