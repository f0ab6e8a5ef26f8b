"""How many pixels an RLE describes, which pycocotools does not check."""

from collections.abc import Sequence

import numpy as np

MOST = 2**32 - 1
"""Pixels: pycocotools counts in 32 bits."""


def rle_pixels(counts: str) -> int | None:
    """Return the number of pixels, of mask and background together, that COCO's RLE covers; None
    as for ``rle_runs``.
    """
    runs = rle_runs(counts)
    return None if runs is None else int(runs.sum())


def rle_runs(counts: str) -> np.ndarray | None:
    """Return the run lengths of COCO's RLE, background first, int64.

    The string is that of ``rleToString`` in pycocotools' ``maskApi.c``: numbers in pieces of five
    bits, lowest first, a sixth bit for "more follows", the last piece signed; the fourth number and
    those after it are differences to the number two before.

    Returns:
        ``None`` if the string cannot be an RLE: characters out of
        range, an unfinished number, a negative length.
    """
    pieces = np.frombuffer(counts.encode(errors="surrogatepass"), np.uint8).astype(np.int64) - 48
    if not pieces.size or pieces.min() < 0 or pieces.max() > 63:
        return None
    more = pieces >= 32
    if more[-1]:
        return None
    ends = np.flatnonzero(~more)
    starts = np.concatenate(([0], ends[:-1] + 1))
    place = np.arange(pieces.size) - np.repeat(starts, ends - starts + 1)
    if place.max() > 6:  # lengths are 32 bits
        return None
    numbers = np.add.reduceat((pieces & 31) << (5 * place), starts)
    negative = pieces[ends] & 16 > 0
    numbers[negative] -= 1 << (5 * (place[ends][negative] + 1))
    for first in (1, 2):
        numbers[first::2] = numbers[first::2].cumsum()
    return None if numbers.min() < 0 or numbers.max() > MOST else numbers


def listed_runs(counts: Sequence[object]) -> np.ndarray | None:
    """The same of an uncompressed RLE, a list of run lengths; ``None`` if it cannot be one."""
    if not counts or not all(type(run) is int and 0 <= run <= MOST for run in counts):
        return None
    return np.array(counts, np.int64)
