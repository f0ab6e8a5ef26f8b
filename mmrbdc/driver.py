"""NVIDIA's driver and cards, and which of the tested torches can run on them."""

import re
import subprocess
from collections.abc import Sequence

from mmrbdc.supported import CUDA, release


def find() -> tuple[str, list[str]]:
    """The driver's version and the cards' compute capabilities, as ``nvidia-smi`` tells them; an
    empty string and list where there is none.
    """
    query = ["nvidia-smi", "--format=csv,noheader", "--query-gpu=driver_version,compute_cap"]
    try:
        # A driver that is too old to know compute_cap still tells its version.
        for command in (query, [*query[:2], "--query-gpu=driver_version"]):
            result = subprocess.run(command, capture_output=True, text=True, check=False)
            rows = [[cell.strip() for cell in row.split(",")] for row in result.stdout.splitlines()]
            rows = [row for row in rows if re.fullmatch(r"\d+(\.\d+)+", row[0])]
            if rows:
                cards = {cell for row in rows for cell in row[1:] if re.fullmatch(r"\d+\.\d", cell)}
                return rows[0][0], sorted(cards, key=float)
    except OSError:
        pass
    return "", []


def fitting_cuda(driver: str, cards: Sequence[str]) -> int | None:
    """The generation of CUDA whose torch runs most of the cards, the newest of several; ``None``
    where the driver or the cards are too old for every one.
    """
    served = {
        cuda: sum(float(card) >= oldest_card for card in cards) if cards else 1
        for cuda, (oldest, oldest_card) in CUDA.items()
        if release(driver)[0] >= oldest
    }
    best = max(served, key=lambda cuda: (served[cuda], cuda), default=None)
    return best if best and served[best] else None


def judge(
    driver: str, cards: Sequence[str], torch_cuda: str | None, by_choice: bool
) -> tuple[str, str, str] | None:
    """Judge the driver and the cards against torch.

    Args:
        driver: its version, empty without one.
        cards: compute capabilities, each once; empty where they are not known.
        torch_cuda: the CUDA that torch was built for, ``"13.0"``.
        by_choice: whether the GPU is left alone on purpose.

    Returns:
        What is wanted, the state (ok, unused or wrong) and a note; ``None`` without a driver and
        for a torch without CUDA or of another generation than the tested ones.
    """
    built_for = release(torch_cuda or "")
    if not driver or not built_for or built_for[0] not in CUDA:
        return None
    oldest, oldest_card = CUDA[built_for[0]]
    wanted = f"{oldest} or newer, for CUDA {torch_cuda}"
    if by_choice:
        return wanted, "unused", "torch and mmcv run on the CPU, as CUDA=cpu told `make env`"
    too_old = [card for card in cards if float(card) < oldest_card]
    fitting = fitting_cuda(driver, cards)
    if fitting is None:
        least, least_card = CUDA[min(CUDA)]
        note = (
            f"no torch here can use the GPU, all runs on the CPU: driver {driver}, cards "
            f"{', '.join(cards) or 'unknown'}; from {least} and compute capability {least_card} on"
        )
        return wanted, "unused", note
    if release(driver)[0] < oldest:
        note = f"driver {driver} is too old for torch's CUDA {torch_cuda}; it runs CUDA {fitting}"
        return wanted, "wrong", note
    if too_old and fitting != built_for[0]:
        note = f"torch's CUDA {torch_cuda} gave up cards of compute capability {too_old[0]}"
        return wanted, "wrong", note
    return wanted, "ok", ""
