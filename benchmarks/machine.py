"""What a measurement ran on, for the json files of all speed benchmarks."""

import os
import platform
from typing import Any

import torch

import mmrbdc


def machine() -> dict[str, Any]:
    """Return processor, cores, load averages and versions."""
    return dict(
        processor=platform.processor() or platform.machine(),
        cores=os.cpu_count(),
        load=os.getloadavg(),
        torch=str(torch.__version__),
        mmrbdc=mmrbdc.__version__,
    )
