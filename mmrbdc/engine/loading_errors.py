"""A run's data sets list and read by our rules, and what goes wrong in them is told in one line."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.logging import MMLogger

from mmrbdc.datasets.coco.memory import forget
from mmrbdc.datasets.configs import LOADERS
from mmrbdc.datasets.errors import DataError
from mmrbdc.datasets.reading import read_by_rules, use_listed_datasets
from mmrbdc.engine.preemption import Preempted, received
from mmrbdc.registry import HOOKS


class WorkerDied(OSError):
    """A data worker was killed from outside, mostly because memory ran out."""


@HOOKS.register_module()
class ReadingHook(Hook):
    """Let all data sets of a run read pictures by :class:`mmrbdc.datasets.LoadImageFromFile`.

    Errors of other transforms name the file as well.
    """

    priority = "VERY_HIGH"

    def before_run(self, runner: Any) -> None:
        """Exchange the loaders; the data sets are built, their workers are not started.

        What the check kept of annotation files has been taken by all that read them.
        """
        forget()
        exchanged = 0
        for split in LOADERS:
            dataloader = getattr(getattr(runner, f"_{split}_loop"), "dataloader", None)
            if dataloader is not None:
                exchanged += read_by_rules(dataloader.dataset, training=split == "train")
        if exchanged:
            runner.logger.info(
                "pictures are read by mmrbdc.LoadImageFromFile: MMCV's, but a file that cannot be "
                "read is named"
            )


def list_by_rules(cfg: Config) -> list[str]:
    """Let the image folders of a run's config be listed by our data sets, in place.

    Returns:
        A line that says so, where there are any.
    """
    loaders = [cfg.get(f"{split}_dataloader") for split in LOADERS]
    replaced = sorted({name for loader in loaders for name in use_listed_datasets(loader)})
    if not replaced:
        return []
    ours = " and ".join(f"mmrbdc.{name}" for name in replaced)
    return [f"image folders are listed by {ours}: MMPretrain's, but hidden entries are left out"]


@contextmanager
def loading_errors_in_words(place: Callable[[], str]) -> Iterator[None]:
    """PyTorch reports a killed worker wherever the main process happens to be, and adds its own
    traceback to what a worker raised.

    Args:
        place: says where the run is.

    Raises:
        DataError: with the message of the worker's.
        WorkerDied: a worker was killed.
        Preempted: SIGTERM came while a worker was being started.
    """
    try:
        yield
    except DataError as error:
        raise DataError(str(error).rpartition("DataError: ")[2].strip()) from None
    except (RuntimeError, ConnectionError, EOFError) as error:
        # The pipe to a dead worker may break before PyTorch misses the worker.
        if isinstance(error, RuntimeError) and "DataLoader worker" not in str(error):
            raise
        if received():  # a worker that was just being started took the signal of the whole group
            MMLogger.get_current_instance().warning(
                "SIGTERM: stopping; --resume goes on from a checkpoint"
            )
            raise Preempted from None
        reason = " ".join(str(error).split())
        raise WorkerDied(
            f"a data worker died at {place()} ({reason}); if memory ran out, "
            "lower num_workers or batch_size of the data loaders; go on with --resume"
        ) from None
