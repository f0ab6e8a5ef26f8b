"""The supported stacks: which distributions bring which import names, in which versions.

``official`` are the OpenMMLab packages, ``onedl`` their forks under the same import names. The
tested versions are the pinned ones (``requirements/``); a test compares the two.
"""

import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import wraps
from importlib.metadata import PackageNotFoundError, version
from typing import Any

PYTHONS = ((3, 10), (3, 14))
CUDA = {12: (525, 7.0), 13: (580, 7.5)}
"""CUDA's generation of a torch -> the oldest NVIDIA driver and the oldest card (its compute
capability) that the tested torch of that generation runs on."""


@dataclass(frozen=True)
class Supported:
    """One import name of a stack.

    ``tested`` are the pinned versions, ``lowest`` to (not including) ``below`` is what may work.
    """

    module: str
    distribution: str
    tested: tuple[str, ...]
    lowest: str
    below: str


BENEATH = (
    Supported("torch", "torch", ("2.11.0", "2.10.0"), "2.6", "3"),
    Supported("torchvision", "torchvision", ("0.26.0", "0.25.0"), "0.21", "1"),
    Supported("numpy", "numpy", ("2.4.6", "2.2.6"), "1.26", "3"),
    Supported("cv2", "opencv-python-headless", ("5.0.0.93",), "4.5", "6"),
)
BESIDE = (
    Supported("pycocotools", "pycocotools", ("2.0.11",), "2.0.8", "3"),
    Supported("safetensors", "safetensors", ("0.8.0",), "0.4", "1"),
    Supported("sklearn", "scikit-learn", ("1.9.1", "1.7.2"), "1.2", "2"),
    Supported("setuptools", "setuptools", ("80.10.2",), "60", "82"),
)
OPENMMLAB = {
    "official": (
        Supported("mmengine", "mmengine", ("0.10.7",), "0.10.4", "0.11"),
        Supported("mmcv", "mmcv", ("2.1.0",), "2.0.0", "2.2.0"),
        Supported("mmdet", "mmdet", ("3.3.0",), "3.3.0", "3.4"),
        Supported("mmpretrain", "mmpretrain", ("1.2.0",), "1.2.0", "1.3"),
    ),
    "onedl": (
        Supported("mmengine", "onedl-mmengine", ("0.10.12",), "0.10.8", "0.11"),
        Supported("mmcv", "onedl-mmcv", ("2.3.6",), "2.3.0", "2.4.0"),
        Supported("imgaug", "imaug", ("0.4.2",), "0.4.1", "0.5"),
        Supported("mmdet", "onedl-mmdetection", ("3.5.1",), "3.4.0", "3.6"),
        Supported("mmpretrain", "onedl-mmpretrain", ("1.3.6",), "1.3.0", "1.4"),
    ),
}
STACKS = {name: (*BENEATH, *items, *BESIDE) for name, items in OPENMMLAB.items()}
"""mmdet 3.3.0 refuses mmcv 2.2.0, onedl-mmpretrain mmcv 2.4.0; setuptools 82 has no pkg_resources,
which mmengine imports; onedl-mmdetection imports imgaug, which imaug brings."""

OTHER_PROVIDERS = {
    "cv2": ("opencv-python", "opencv-contrib-python", "opencv-contrib-python-headless"),
    "mmcv": ("mmcv-full", "mmcv-lite"),
    "imgaug": ("imgaug",),
}


def modules() -> list[str]:
    """The import names of all stacks."""
    return list(dict.fromkeys(item.module for items in STACKS.values() for item in items))


def providers_of(module: str) -> list[str]:
    """The distributions that are known to bring an import name."""
    known = [item for items in STACKS.values() for item in items if item.module == module]
    names = [item.distribution for item in known] + list(OTHER_PROVIDERS.get(module, ()))
    return list(dict.fromkeys(names))


def members(stack: str) -> set[str]:
    """The OpenMMLab distributions of a stack."""
    return {item.distribution for item in OPENMMLAB[stack]}


def foreign(stack: str) -> set[str]:
    """The OpenMMLab distributions of the other stacks."""
    return {name for other in OPENMMLAB if other != stack for name in members(other)}


def stack_of(packages: Mapping[str, Any]) -> str:
    """The stack that most of the installed OpenMMLab packages belong to; ``official`` on a tie.

    Args:
        packages: for each import name at least its ``distributions``.
    """
    installed = [name for found in packages.values() for name in found["distributions"]]
    return max(OPENMMLAB, key=lambda stack: len(members(stack).intersection(installed)))


def hush_onedl() -> None:
    """Leave out what the onedl forks print as they are imported, before they are: that OneDL's own
    package, which they do without, is not there.

    It is meant for debugging, but MMEngine prints whatever has no logger.
    """
    try:
        version("onedl-mmpretrain")
    except PackageNotFoundError:
        return
    import mmengine.logging

    plain = mmengine.logging.print_log

    @wraps(plain)
    def print_log(msg: Any, logger: Any = None, level: int = logging.INFO) -> None:
        told = logger is not None or level > logging.DEBUG
        if told or not str(msg).startswith("Could not import OneDL"):
            plain(msg, logger, level)

    mmengine.logging.print_log = print_log


def release(text: str) -> tuple[int, ...]:
    """``'2.11.0+cu130'`` -> ``(2, 11)``: numbers to compare, without trailing zeros."""
    match = re.match(r"\d+(\.\d+)*", text)
    numbers = [int(part) for part in match.group().split(".")] if match else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def torch_pins(cuda: int) -> str:
    """The tested torch and torchvision of that generation of CUDA, as pip is asked for them."""
    index = 1 if cuda == 12 else 0
    return " ".join(f"{item.distribution}=={item.tested[index]}" for item in BENEATH[:2])


def pin(item: Supported) -> str:
    """What to ask pip for; a range where the newest tested version is not for every Python."""
    if item.module in ("numpy", "sklearn", "setuptools"):
        return f"'{item.distribution}>={item.lowest},<{item.below}'"
    return f"{item.distribution}=={item.tested[0]}"


def pins(items: Iterable[Supported]) -> str:
    """:func:`pin` of several, for one command line."""
    return " ".join(map(pin, items))
