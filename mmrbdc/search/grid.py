"""The grid of depths and image sizes that a search moves on, and what else rises with the stages.

AutoProg (CVPR 2022, arXiv 2203.14509): a stage has one depth and one image size of evenly spaced
ones, which start at a share of the full model's and end with it. Regularisation rises likewise.
Width does not grow.
"""

from dataclasses import dataclass
from itertools import pairwise
from math import floor

from mmrbdc.search.errors import SearchError


@dataclass(frozen=True)
class Grid:
    """Values that depth and image size may take; the last of each is the full model's.

    Args:
        depths: blocks, one entry per stage, never falling.
        img_sizes: pixels of a side, one entry per stage, never falling.

    Raises:
        SearchError: fewer than two stages, lists of different lengths, a value that is no whole
            number of at least 1, values that fall, or a full depth above twice the first: a search
            in the first stage could ask for it at once, and depth at most doubles.
    """

    depths: tuple[int, ...]
    img_sizes: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.depths) != len(self.img_sizes) or len(self.depths) < 2:
            raise SearchError(
                f"a grid of {len(self.depths)} depths and {len(self.img_sizes)} image sizes; it "
                "has one of each per stage, and at least two stages"
            )
        for what, values in (("depths", self.depths), ("image sizes", self.img_sizes)):
            for value in values:
                check_whole(value, f"one of the {what} {_listed(values)}")
            if any(later < sooner for sooner, later in pairwise(values)):
                raise SearchError(
                    f"the {what} {_listed(values)} fall; a later stage has the same or a larger one"
                )
        first, full = self.depths[0], self.depths[-1]
        if full > 2 * first:
            raise SearchError(
                f"depth would grow from {first} to {full} blocks where the first stage chooses the "
                f"full depth, and it at most doubles; start with {-(-full // 2)} blocks or more (a "
                "larger scale of depth)"
            )

    @property
    def stages(self) -> int:
        """Number of stages."""
        return len(self.depths)


def grid(
    full_depth: int,
    full_size: int,
    stages: int,
    depth_scale: float,
    size_scale: float,
    multiple: int,
) -> Grid:
    """Space depths and image sizes evenly from a share of the full ones to these.

    Args:
        full_depth: blocks of the full model.
        full_size: pixels of a side of its images.
        stages: number of stages.
        depth_scale: share of the full depth that the first stage has.
        size_scale: share of the full image size that the first stage has.
        multiple: what image sizes are multiples of, 32 in AutoProg.

    Raises:
        SearchError: a full size that is no multiple, a scale outside of (0, 1], or what
            :class:`Grid` refuses.
    """
    return Grid(
        even_depths(full_depth, stages, depth_scale),
        even_sizes(full_size, stages, size_scale, multiple),
    )


def even_depths(full: int, stages: int, scale: float) -> tuple[int, ...]:
    """Evenly spaced depths from ``scale * full`` to ``full``, rounded, half to even."""
    check_whole(full, "the full depth")
    _check_scale(scale, "depth")
    return tuple(max(1, round(full * share(i, stages, scale))) for i in range(stages))


def even_sizes(full: int, stages: int, scale: float, multiple: int) -> tuple[int, ...]:
    """Evenly spaced image sizes from ``scale * full`` to ``full``, each near a multiple."""
    check_whole(full, "the full image size")
    _check_scale(scale, "image size")
    if near_multiple(full, multiple) != full:
        raise SearchError(
            f"the full image size is {full} pixels, and image sizes are multiples of {multiple}; "
            f"choose {near_multiple(full, multiple)} pixels or another multiple"
        )
    values = (full * share(i, stages, scale) for i in range(stages))
    return tuple(near_multiple(value, multiple) for value in values)


def near_multiple(value: float, multiple: int) -> int:
    """The nearest multiple, the next one where that is below 90 % of the value; at least one."""
    check_whole(multiple, "what image sizes are multiples of")
    found = max(multiple, floor((value + multiple / 2) / multiple) * multiple)
    return found if found >= 0.9 * value else found + multiple


def begins(epochs: int, stages: int) -> tuple[int, ...]:
    """The epoch with which each stage begins, of equal stages as far as whole epochs allow.

    Raises:
        SearchError: fewer epochs than stages.
    """
    check_whole(stages, "the number of stages")
    check_whole(epochs, "the number of epochs")
    if epochs < stages:
        raise SearchError(f"{epochs} epochs for {stages} stages; each needs one at least")
    return tuple(epochs * i // stages for i in range(stages))


def share(stage: int, stages: int, scale: float) -> float:
    """The share of a full value that a stage has: from ``scale`` in the first to 1 in the last.

    AutoProg ramps drop-path and random erasing from 0, the magnitude of RandAugment from 0.5; the
    scales of the random crop stay.

    Raises:
        SearchError: fewer than two stages, or a stage that there is not.
    """
    if stages < 2 or not 0 <= stage < stages:
        raise SearchError(
            f"no stage {stage} of {stages}; there are two or more, counted from 0 to {stages - 1}"
        )
    return scale + (1 - scale) * (stage / (stages - 1))


def magnitude(full: float, share: float) -> int:
    """A share of RandAugment's magnitude, rounded half to even: 4, 6, 7, 9 for 9 from 0.5.

    The third is 7 as in the released code: :func:`share` lies a rounding error below 5/6, so that
    the product is just below 7.5.
    """
    return round(full * share)


def check_whole(value: object, what: str) -> None:
    """Refuse what is no whole number of at least 1.

    Raises:
        SearchError: names it.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise SearchError(f"{what} is {value!r}; expected a whole number of at least 1")


def _check_scale(scale: float, what: str) -> None:
    if not 0 < scale <= 1:
        raise SearchError(
            f"the scale of {what} is {scale}; it is the share of the full one that the first stage "
            "has, above 0 and at most 1"
        )


def _listed(values: tuple[int, ...]) -> str:
    return ", ".join(map(str, values))
