"""How many images per second a test takes."""

import platform
import time
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmrbdc.registry import HOOKS

_WARM_UP = 3


@HOOKS.register_module()
class ThroughputHook(Hook):
    """Measure images per second of a test: preprocessing, model and post-processing on the device.

    Loading data and scoring are not in it, nor are the first three batches where there are more.
    Only comparable on equal hardware and at an equal batch size.
    """

    leaves_weights = True

    def __init__(self) -> None:
        self._batches: list[tuple[int, float]] = []

    def before_test(self, runner: Runner) -> None:
        """Put a clock around the model's test step."""
        test_step = runner.model.test_step

        def timed(data: Any) -> Any:
            _synchronize()
            started = time.perf_counter()
            outputs = test_step(data)
            _synchronize()
            self._batches.append((len(outputs), time.perf_counter() - started))
            return outputs

        runner.model.test_step = timed

    def after_test(self, runner: Runner) -> None:
        """Take the clock away."""
        del runner.model.test_step

    def measured(self, batch_size: int) -> dict[str, Any]:
        """Images per second over all processes, with what they depend on."""
        kept = self._batches[_WARM_UP:] or self._batches
        seconds = sum(seconds for _, seconds in kept)
        images = sum(images for images, _ in kept)
        return dict(
            images_per_s=images * get_world_size() / seconds,
            batch_size=batch_size,
            processes=get_world_size(),
            device=device_name(),
        )


def device_name() -> str:
    """The name of the GPU, or of the processor with the number of threads that PyTorch uses."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    threads = torch.get_num_threads()
    return f"{_processor()}, {threads} thread{'s' if threads > 1 else ''}"


def _synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
