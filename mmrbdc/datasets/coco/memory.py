"""Files that were judged, kept for those who read them next: a run parses and judges each once.

The check before a run keeps what it read. Data sets and metrics that the run builds then take it
from here, if the file still has the same bytes; when all are built, the run lets go of it.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path

from mmrbdc.datasets.coco.judge import Verdict, judge
from mmrbdc.datasets.coco.reading import CocoFile, read_coco

MOST_BYTES = 600_000_000
"""Of files that are kept, together; in memory they take about three times as much."""


@dataclass(eq=False)
class _Kept:
    file: CocoFile
    size: int
    verdicts: dict[tuple[bool | None, bool], Verdict] = field(default_factory=dict)

    def verdict(self, masks: bool | None, objects: bool) -> Verdict:
        """What these rules find; what stricter ones found where that is no error."""
        for (asked, asked_objects), known in self.verdicts.items():
            strict = (asked is True or asked == masks) and asked_objects >= objects
            if strict and not known.errors:
                return known
        if (masks, objects) not in self.verdicts:
            self.verdicts[masks, objects] = judge(self.file, masks, objects=objects)
        return self.verdicts[masks, objects]


_kept: dict[str, _Kept] = {}


def judged(
    path: str | Path, masks: bool | None = None, *, objects: bool = True, keep: bool = False
) -> Verdict:
    """Read and judge a file, or take what was kept of the same bytes in the same place.

    Args:
        path: of the file.
        masks: as for ``judge``. A kept verdict without errors may have been asked for more, so that
            it has remarks on masks that ``masks=False`` has not.
        objects: as for ``judge``.
        keep: whether file and verdict are kept until :func:`forget`, if the files that are kept
            are not too large together. They are never changed: who takes them makes entries of
            its own, as ``fill`` does.

    Raises:
        DataError: the file cannot be read.
    """
    place = os.path.realpath(path)
    known = _kept.get(place)
    if known is None or not _is_as_kept(place, known):
        _kept.pop(place, None)
        file = read_coco(path)
        known = _Kept(file, os.path.getsize(place))
        if keep and known.size + sum(other.size for other in _kept.values()) <= MOST_BYTES:
            _kept[place] = known
    return known.verdict(masks, objects)


def forget() -> None:
    """Let go of everything that is kept."""
    _kept.clear()


def _is_as_kept(place: str, known: _Kept) -> bool:
    """Whether a file has the bytes that were read; its time may be that of another."""
    from mmrbdc.weights.read import file_sha256

    try:
        return os.path.getsize(place) == known.size and file_sha256(place) == known.file.sha256
    except OSError:
        return False
