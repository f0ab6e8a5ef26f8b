"""Whether data sets number the same classes alike: one rule for the check and for a run's start."""

import unicodedata
from collections.abc import Sequence

from mmrbdc.wording import closest, quoted

SORTED = "the sorted names"
"""What numbers the classes of image folders."""
FILE_ORDER = "the order of each file's categories"
"""What numbers the classes of data sets in COCO's format."""


def numbering_problem(
    first_key: str, first: Sequence[str], key: str, classes: Sequence[str], numbered_by: str
) -> str | None:
    """Say that two data sets have different classes, or number them differently, if they do.

    Args:
        first_key: place of one in the config, or what else it is called.
        first: names of its classes, in the order in which they are numbered.
        key: place of the other.
        classes: its names likewise.
        numbered_by: ``SORTED`` or ``FILE_ORDER``.
    """
    if tuple(first) == tuple(classes):
        return None
    only_first = sorted(set(first) - set(classes))
    only_here = sorted(set(classes) - set(first))
    if only_first or only_here:
        return (
            f"{first_key} and {key} have different classes; "
            f"only in {first_key}: {_with_nearest(only_first, only_here)}, "
            f"only in {key}: {_with_nearest(only_here, only_first)}; "
            f"class numbers come from {numbered_by}, so every data set needs the same ones"
        )
    number, (one, other) = next(
        (n, pair) for n, pair in enumerate(zip(first, classes, strict=False)) if pair[0] != pair[1]
    )
    return (
        f"{first_key} and {key} have their classes in another order: {quoted(first)} and "
        f"{quoted(classes)}; class numbers come from {numbered_by}, so number {number} would be "
        f"{one!r} in one and {other!r} in the other; bring the categories of both, and the "
        "classes of the config, into one order"
    )


def _with_nearest(names: Sequence[str], others: Sequence[str], most: int = 5) -> str:
    """Quote names, each beside the one of the other split that it is most likely meant to be."""
    by_look = {_look(other): other for other in others}
    shown = []
    for name in names[:most]:
        near = by_look.get(_look(name))
        if near is None and len(names) == 1:
            near = next(iter(closest(name, others, cutoff=0.7)), None)
        if near is None:
            shown.append(repr(name))
        elif unicodedata.normalize("NFC", name) == unicodedata.normalize("NFC", near):
            shown.append(f"{name!a} (looks like {near!a}, but is written in other Unicode)")
        else:
            shown.append(f"{name!r} (nearest: {near!r})")
    more = f", ... {len(names):,} in all" if len(names) > most else ""
    return (", ".join(shown) or "none") + more


def _look(name: str) -> str:
    return "".join(unicodedata.normalize("NFKC", name).casefold().split())
