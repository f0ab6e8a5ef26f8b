"""Distributed start-up on a CPU, which MMEngine 0.10 lacks, and one answer for all processes."""

import pickle
import signal
from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch
from mmengine.config import Config
from mmengine.dist import broadcast_object_list, init_dist, is_distributed, is_main_process

from mmrbdc.processes import signal_when_parent_ends

Found = TypeVar("Found")


def prepare_distributed(cfg: Config) -> None:
    """Start the process group that ``cfg.launcher`` asks for, with gloo where there is no GPU.

    MMEngine 0.10.7 calls ``torch.cuda.set_device`` on every machine and passes ``device_ids`` to
    DistributedDataParallel. Without a GPU the group is made here first, and the wrapper gets
    ``device_ids=None`` and otherwise MMEngine's own defaults. A process that ``torchrun`` started
    gets SIGTERM when ``torchrun`` is gone. Does nothing for ``launcher='none'`` or a group that
    runs already.
    """
    launcher = cfg.get("launcher", "none")
    if launcher == "none":
        return
    env = cfg.setdefault("env_cfg", {})
    env.setdefault("dist_cfg", dict(backend="nccl"))
    if not torch.cuda.is_available():
        env["dist_cfg"]["backend"] = "gloo"
        cfg.model_wrapper_cfg = dict(
            dict(
                type="MMDistributedDataParallel",
                device_ids=None,
                broadcast_buffers=False,
                find_unused_parameters=cfg.get("find_unused_parameters", False),
            ),
            **cfg.get("model_wrapper_cfg", {}),
        )
    if is_distributed():
        return
    if launcher == "pytorch":
        signal_when_parent_ends(signal.SIGTERM)
    if torch.cuda.is_available() or launcher != "pytorch":
        init_dist(launcher, **env["dist_cfg"])
    else:
        torch.distributed.init_process_group(**env["dist_cfg"])


def as_main_says(find: Callable[[], Found]) -> Found:
    """Let the main process find something out, and give all of them its answer, or its error.

    Files may change between one process's look and another's. Every process calls it.

    Args:
        find: what the main process does; its answer can be pickled.
    """
    answer: list[Any] = [None, None]
    if is_main_process():
        try:
            answer = [find(), None]
        except Exception as error:
            if not is_distributed():
                raise
            answer = [None, error if _can_be_sent(error) else RuntimeError(str(error))]
    broadcast_object_list(answer)
    if answer[1] is not None:
        raise answer[1]
    return cast(Found, answer[0])


def _can_be_sent(error: Exception) -> bool:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # pickling can fail in any way
        return False
    return True
