"""A run's data sets are listed by our rules, and what goes wrong in them is told in one line."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mmengine.config import Config
from mmengine.logging import MMLogger

from mmrbdc.datasets.configs import LOADERS
from mmrbdc.datasets.errors import DataError
from mmrbdc.datasets.loading.rules import use_listed_datasets
from mmrbdc.engine.process.signals import Preempted, received


class WorkerDied(OSError):
    """A data worker was killed from outside, mostly because memory ran out."""


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
