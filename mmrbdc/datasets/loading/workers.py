"""What data workers do beside loading."""

import os
import signal
import threading
import warnings
from collections.abc import Callable, MutableMapping
from multiprocessing import parent_process
from typing import Any

from mmrbdc.processes import signal_when_parent_ends
from mmrbdc.registry import FUNCTIONS

_NAME = "mmrbdc.leave_sigterm_to_parent"


@FUNCTIONS.register_module()
def leave_sigterm_to_parent(
    worker_id: int,
    first: str | Callable[[int], None] | None = None,
    options: dict[str, Any] | None = None,
    quiet: bool = False,
) -> None:
    """Let a data worker end on its parent's SIGTERM only, and with its parent.

    Schedulers send it to all processes of a job at once. The run saves at the end of its iteration,
    for which it needs its workers, and then ends them itself. Where the run is killed, the kernel
    kills its workers: one that waits for a lock that a dead sibling holds would wait for ever.

    Args:
        worker_id: given by PyTorch's loader.
        first: what the config has a worker do when it starts, or its name in the registry.
        options: of ``first``.
        quiet: hide the warnings of all workers but the first (``disable_subprocess_warning``).
    """
    signal_when_parent_ends(signal.SIGKILL)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    for watch in (_end_on_parents_signal, _end_with_run):
        threading.Thread(target=watch, daemon=True).start()
    if quiet and worker_id:
        warnings.simplefilter("ignore")
    if first is not None:
        begin = FUNCTIONS.get(first) if isinstance(first, str) else first
        assert begin is not None, first
        begin(worker_id, **(options or {}))


def end_workers_with_run(loader: MutableMapping[str, Any] | None) -> None:
    """Let a loader's workers be such, after what the config has them do when they start.

    Args:
        loader: a config, changed in place.
    """
    if not loader or "dataset" not in loader:
        return
    given = loader.get("worker_init_fn") or {}
    kind = given.get("type")
    if kind in (_NAME, leave_sigterm_to_parent):
        return
    own: dict[str, Any] = dict(type=_NAME)
    if kind is not None:
        own["first"] = kind
        if options := {name: value for name, value in given.items() if name != "type"}:
            own["options"] = options
    if loader.pop("disable_subprocess_warning", False):
        own["quiet"] = True
    loader["worker_init_fn"] = own


def _end_on_parents_signal() -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)


def _end_with_run() -> None:
    """Where a fork server is the parent, it lives as long as the workers do."""
    if (run := parent_process()) is not None:
        run.join()
        os._exit(1)
