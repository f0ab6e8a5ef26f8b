"""Procedural grounds for the scenes: dark, varied, and made from a random generator alone."""

from collections.abc import Callable

import numpy as np

BRIGHTEST = 0.5
"""No ground is brighter, in 0..1, before the grain of the picture is added."""


def random_ground(rng: np.random.Generator, size: int) -> np.ndarray:
    """A square ground between two random dark colours.

    Returns:
        RGB in 0..``BRIGHTEST``, (size, size, 3).
    """
    pattern = TEXTURES[rng.integers(len(TEXTURES))](rng, size)[..., None]
    low, high = rng.uniform(0.0, BRIGHTEST, size=(2, 3))
    return low + (high - low) * pattern


def smooth_noise(rng: np.random.Generator, size: int) -> np.ndarray:
    """Clouds: noise of a random scale, and half as much of half that scale."""
    from scipy import ndimage

    blur = size / rng.uniform(8.0, 32.0)
    coarse, fine = (
        _unit_range(ndimage.gaussian_filter(rng.normal(size=(size, size)), width))
        for width in (blur, blur / 2)
    )
    return _unit_range(coarse + 0.5 * fine)


def gradient(rng: np.random.Generator, size: int) -> np.ndarray:
    """An even slope in a random direction."""
    return _unit_range(_distance(rng, size))


def stripes(rng: np.random.Generator, size: int) -> np.ndarray:
    """Soft stripes of random direction and width."""
    period = rng.uniform(size / 16, size / 4)
    return 0.5 + 0.5 * np.sin(2 * np.pi * _distance(rng, size) / period)


def checks(rng: np.random.Generator, size: int) -> np.ndarray:
    """Two stripe patterns multiplied: soft fields of random directions and widths."""
    return stripes(rng, size) * stripes(rng, size)


TEXTURES: tuple[Callable[[np.random.Generator, int], np.ndarray], ...] = (
    smooth_noise,
    gradient,
    stripes,
    checks,
)
"""Each gives a pattern in 0..1, (size, size)."""


def _distance(rng: np.random.Generator, size: int) -> np.ndarray:
    """Distance in pixels of every pixel along a random direction, (size, size)."""
    angle = rng.uniform(0, 2 * np.pi)
    rows, columns = np.mgrid[:size, :size]
    return rows * np.sin(angle) + columns * np.cos(angle)


def _unit_range(pattern: np.ndarray) -> np.ndarray:
    return (pattern - pattern.min()) / (np.ptp(pattern) + 1e-12)
