"""Data: the sets that the program makes for itself, checks before training, replayable loading.

Names are imported when they are asked for: who reads annotations needs nothing of OpenMMLab, and a
run on other data none of the packages of ``digits`` and ``scenes``. Registered types are found
through the locations in ``mmrbdc.registry``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mmrbdc.datasets.errors import DataError

if TYPE_CHECKING:
    from mmrbdc.datasets.check import check_config_data, check_data
    from mmrbdc.datasets.folders.dataset import CustomDataset, ImageNet
    from mmrbdc.datasets.loading import LoadImageFromFile
    from mmrbdc.datasets.replay import Draw, ReplayableDataset, ReplayableSampler
    from mmrbdc.datasets.workers import leave_sigterm_to_parent

__all__ = [
    "CustomDataset",
    "DataError",
    "Draw",
    "ImageNet",
    "LoadImageFromFile",
    "ReplayableDataset",
    "ReplayableSampler",
    "check_config_data",
    "check_data",
    "leave_sigterm_to_parent",
]
_PLACES = {
    "CustomDataset": "folders.dataset",
    "Draw": "replay",
    "ImageNet": "folders.dataset",
    "LoadImageFromFile": "loading",
    "ReplayableDataset": "replay",
    "ReplayableSampler": "replay",
    "check_config_data": "check",
    "check_data": "check",
    "leave_sigterm_to_parent": "workers",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
