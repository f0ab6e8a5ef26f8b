"""Decode all pictures of a data set as training does; say what fails and what loading changes."""

import multiprocessing
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, cast

import cv2
import numpy as np
from mmengine.registry import TRANSFORMS, DefaultScope
from rich.progress import track

from mmrbdc.config_parts import type_name
from mmrbdc.datasets.errors import DataError
from mmrbdc.datasets.pictures.header import kind_of, read_header
from mmrbdc.datasets.pictures.load import LoadImageFromFile, reason_of
from mmrbdc.terminal import console
from mmrbdc.wording import quoted

STRIP = 50
"""How many times longer than wide a picture is that is told of as a strip."""

MOST = 20
"""Broken pictures that are named."""

_FEW = 64
"""Pictures for which a further process is not worth its start."""
_DAMAGE = re.compile("corrupt jpeg data|premature end|inconsistent progression", re.IGNORECASE)
_DAMAGED = (
    "with damaged JPEG data: a part may be grey, shifted or of wrong colours, and training reads "
    "it so"
)
_DARK = "with more than 8 bits a channel and nearly black (below 32 of 255) once loaded"


@dataclass(frozen=True)
class Picture:
    """What became of one file.

    Attributes:
        path: of the file.
        size: width and height as training sees it; None where it cannot.
        error: why it cannot be trained on; a phrase that follows the file's name.
        findings: what loading changes, as :class:`mmrbdc.datasets.pictures.header.Header` has it.
        details: of findings that have one.
    """

    path: str
    size: tuple[int, int] | None
    error: str | None = None
    findings: tuple[str, ...] = ()
    details: tuple[tuple[str, str], ...] = ()


class Examination:
    """How pictures of one data set are looked at.

    Args:
        pipeline: config of the data set's, whose loader and first scaling are applied.
        scope: MMEngine's default scope under which the pipeline is written.
        fast: read headers, decode nothing.
    """

    def __init__(
        self, pipeline: Sequence[Mapping] = (), *, scope: str = "mmpretrain", fast: bool = False
    ) -> None:
        self.fast = fast
        self.loader = LoadImageFromFile()
        self.resizes: list[Any] = []
        with DefaultScope.overwrite_default_scope(scope):
            for step in pipeline:
                kind = type_name(step)
                if kind == "LoadImageFromFile":
                    options = {k: v for k, v in step.items() if k not in ("type", "ignore_empty")}
                    self.loader = LoadImageFromFile(**options)
                elif "Crop" in kind or "Pad" in kind:
                    break
                else:
                    self.resizes += [TRANSFORMS.build(config) for config in _smallest(step)]

    def __call__(self, path: str) -> Picture:
        """Look at one file."""
        try:
            content = self.loader.read(path)
        except DataError as error:
            return Picture(path, None, f"cannot be read: {error}")
        header = read_header(content, path)
        findings = header.findings if header else ()
        details = header.details if header else ()
        if self.fast:
            if header is None:
                return Picture(path, None, f"cannot be opened: {kind_of(content)}")
            try:
                self.loader.check_size(header.size)
            except DataError as error:
                return Picture(path, None, f"cannot be used: {error}")
            size = header.turned_size
        else:
            try:
                image = self.loader.decode(content)
            except DataError as error:
                return Picture(path, None, f"cannot be decoded: {error}")
            size = (image.shape[1], image.shape[0])
            if any(what.startswith("of more than 8 bits") for what in findings):
                findings += (_DARK,) * bool(image.max() < 32)
        if max(size) > STRIP * min(size):
            findings += (f"more than {STRIP} times as long as wide",)
        return Picture(path, size, self._scaled_away(size), findings, details)

    def _scaled_away(self, size: tuple[int, int]) -> str | None:
        """What the pipeline's scaling says of a picture; only strips and tiny ones are tried."""
        if min(size) >= 16 and max(size) <= 20 * min(size):
            return None
        for transform in self.resizes:
            results = dict(img=np.zeros((size[1], size[0], 3), np.uint8), img_shape=size[::-1])
            try:
                transform(results)
            except Exception as error:
                return (
                    f"of {size[0]} x {size[1]} px cannot be scaled by {type(transform).__name__} "
                    f"(scale={getattr(transform, 'scale', None)}): {reason_of(error)}"
                )
        return None


def check_pictures(paths: Sequence[str], examination: Examination) -> list[Picture]:
    """Look at many files, on all cores; in the order given.

    Processes of their own decode, so that a decoder that kills its process is an error of the
    picture, and what decoders print is a remark on it.
    """
    count = min(len(os.sched_getaffinity(0)), -(-len(paths) // _FEW))
    found = track(
        _in_processes(paths, examination, count),
        "pictures",
        total=len(paths),
        transient=True,
        console=console(stderr=True),
        disable=not sys.stderr.isatty(),
    )
    by_number = dict(found)
    return [by_number[number] for number in range(len(paths))]


def picture_lines(pictures: Sequence[Picture]) -> tuple[list[str], list[str]]:
    """Errors and remarks about pictures: a line for each of the first, one for a kind of remark."""
    wrong = [f"'{p.path}' {p.error}" for p in pictures if p.error]
    more = len(wrong) - MOST
    errors = wrong[:MOST] + [f"{more:,} more pictures cannot be used"] * (more > 0)
    counts: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for picture in pictures:
        for finding in picture.findings:
            counts[finding] += 1
            detail = dict(picture.details).get(finding)
            shown = quoted([picture.path]) + (f": {detail}" if detail else "")
            examples.setdefault(finding, shown)
    remarks = [
        f"{number:,} picture{'s' * (number > 1)} {finding} ({examples[finding]})"
        for finding, number in counts.most_common()
    ]
    return errors, remarks


def _smallest(step: Mapping) -> list[dict]:
    """The resizing with the smallest result that a step may do; none for steps of other kinds."""
    kind = type_name(step)
    scale: Any = step.get("scale")
    if kind == "Resize" or (kind == "ResizeEdge" and step.get("edge", "short") != "short"):
        return [dict(step)]
    if kind == "RandomResize":
        scales = scale if isinstance(scale[0], list | tuple) else [scale]
        low = tuple(min(one[i] for one in scales) for i in range(2))
        ratio = (step.get("ratio_range") or (1.0, 1.0))[0]
        low = tuple(max(1, int(ratio * side)) for side in low)
    elif kind == "RandomChoiceResize":
        low = tuple(min(one[i] for one in step["scales"]) for i in range(2))
    else:
        return []
    known = ("type", "scale", "scales", "ratio_range", "resize_type")
    more = {key: value for key, value in step.items() if key not in known}
    return [dict(type=step.get("resize_type", "Resize"), scale=low, **more)]


def _in_processes(
    paths: Sequence[str], examination: Examination, count: int
) -> Iterator[tuple[int, Picture]]:
    """Yield number and picture in any order. A process that dies is followed by another, which
    goes on behind the picture that it died of.
    """
    running: dict[Connection, tuple[BaseProcess, Sequence[int]]] = {}

    def start(numbers: Sequence[int]) -> None:
        receive, send = _FORK.Pipe(duplex=False)
        process = _FORK.Process(target=_work, args=(paths, numbers, examination, send), daemon=True)
        process.start()
        send.close()
        running[receive] = (process, numbers)

    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # a fork does not have OpenCV's threads, and would wait for them
    try:
        for first in range(count):
            start(range(first, len(paths), count))
        yield from _received(running, paths, start)
    finally:
        cv2.setNumThreads(threads)


def _received(
    running: dict[Connection, tuple[BaseProcess, Sequence[int]]],
    paths: Sequence[str],
    start: Callable[[Sequence[int]], None],
) -> Iterator[tuple[int, Picture]]:
    while running:
        for ready in wait(list(running)):
            receive = cast(Connection, ready)
            process, numbers = running[receive]
            try:
                picture = receive.recv()
            except EOFError:
                del running[receive]
                process.join()
                if numbers:
                    path = paths[numbers[0]]
                    yield numbers[0], Picture(path, None, "kills the process of its decoder")
                    start(numbers[1:])
            else:
                if isinstance(picture, Exception):
                    raise picture
                running[receive] = (process, numbers[1:])
                yield numbers[0], picture


_FORK = multiprocessing.get_context("fork")  # as PyTorch's data workers on Linux


def _work(
    paths: Sequence[str], numbers: Sequence[int], examination: Examination, send: Connection
) -> None:
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    printed = os.memfd_create("stderr")
    os.dup2(printed, 2)  # where the libraries in C write, whatever sys.stderr is
    for number in numbers:
        try:
            picture = examination(paths[number])
        except Exception as error:  # a fault of ours: it is the parent's to tell
            send.send(error)
            return
        send.send(_with_complaint(picture, os.pread(printed, 4096, 0).decode(errors="replace")))
        os.ftruncate(printed, 0)
        os.lseek(printed, 0, os.SEEK_SET)


def _with_complaint(picture: Picture, printed: str) -> Picture:
    """Add what libjpeg, which decodes on behind damaged data, printed about them."""
    complaint = next((line for line in printed.splitlines() if _DAMAGE.search(line)), None)
    if complaint is None or picture.error:
        return picture
    details = (*picture.details, (_DAMAGED, complaint.strip()))
    return replace(picture, findings=(*picture.findings, _DAMAGED), details=details)
