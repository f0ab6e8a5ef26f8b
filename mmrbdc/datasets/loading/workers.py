"""What data workers do beside loading."""

import os
import signal
import threading

from mmrbdc.registry import FUNCTIONS


@FUNCTIONS.register_module()
def leave_sigterm_to_parent(worker_id: int) -> None:
    """Let a data worker end on its parent's SIGTERM only.

    Schedulers send it to all processes of a job at once. The run saves at the end of its iteration,
    for which it needs its workers, and then ends them itself.

    Args:
        worker_id: given by PyTorch's loader.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    threading.Thread(target=_end_on_parents_signal, daemon=True).start()


def _end_on_parents_signal() -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)
