"""What a model's weights were trained on: the numbers in which it sees images, and its classes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mmrbdc.weights.errors import WeightsError

CHANNELS = ("rgb", "bgr", "grey")
_TOLERANCE = 0.1
"""Means and deviations closer than this, in grey levels, are the same: files round them."""
_NOT_RECORDED = "not recorded"


@dataclass(frozen=True)
class Preprocessing:
    """How pixels become a model's input: ``(pixel - mean) / std``, a pixel being 0 to 255.

    Attributes:
        mean: of every channel, in grey levels, in the order in which the model takes them.
        std: the same.
        channels: ``'rgb'``, ``'bgr'`` or ``'grey'``: that order.
        image_size: height and width in pixels; None where nothing fixes them.
        short_edge: pixels to which the short edge is brought before ``image_size`` is cut from the
            centre; None where an image is brought to ``image_size`` at once.
        interpolation: of the resizing, ``'bicubic'`` and so on.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    channels: str
    image_size: tuple[int, int] | None = None
    short_edge: int | None = None
    interpolation: str | None = None

    def __post_init__(self) -> None:
        colours = 1 if self.channels == "grey" else 3
        fits = len(self.mean) == len(self.std) == colours
        values = (*self.mean, *self.std)
        if self.channels not in CHANNELS or not fits or not all(map(math.isfinite, values)):
            raise WeightsError(
                f"a preprocessing of mean {list(self.mean)}, std {list(self.std)}, channels "
                f"{self.channels!r}: one number per channel, three for 'rgb' or 'bgr', one for "
                "'grey'"
            )
        if min(self.std) <= 0:
            raise WeightsError(f"a preprocessing of std {list(self.std)}: every one is above zero")

    @property
    def label(self) -> str:
        """What decides the model's input, in words."""
        mean, std = ("[" + ", ".join(f"{v:.6g}" for v in vs) + "]" for vs in (self.mean, self.std))
        return f"mean {mean}, std {std}, {self.channels.upper()}"

    def same_numbers(self, other: "Preprocessing") -> bool:
        """Whether a model sees the same numbers of an image: mean, std and channel order."""
        pairs = zip((*self.mean, *self.std), (*other.mean, *other.std), strict=False)
        return self.channels == other.channels and all(abs(a - b) < _TOLERANCE for a, b in pairs)

    def swapped(self) -> "Preprocessing":
        """The same for the other order of three colours."""
        other = {"rgb": "bgr", "bgr": "rgb"}[self.channels]
        return replace(self, mean=self.mean[::-1], std=self.std[::-1], channels=other)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types; what is not known is left out."""
        known = {
            "mean": list(self.mean),
            "std": list(self.std),
            "channels": self.channels,
            "image_size": list(self.image_size) if self.image_size else None,
            "short_edge": self.short_edge,
            "interpolation": self.interpolation,
        }
        return {key: value for key, value in known.items() if value is not None}

    @classmethod
    def from_dict(cls, written: Any, source: object) -> "Preprocessing":
        """Read what :meth:`to_dict` gives.

        Raises:
            WeightsError: it is something else; names ``source``.
        """
        try:
            size = written.get("image_size")
            return cls(
                mean=tuple(float(value) for value in written["mean"]),
                std=tuple(float(value) for value in written["std"]),
                channels=written["channels"],
                image_size=(int(size[0]), int(size[1])) if size else None,
                short_edge=written.get("short_edge"),
                interpolation=written.get("interpolation"),
            )
        except (WeightsError, AttributeError, KeyError, TypeError, ValueError, IndexError) as error:
            raise WeightsError(
                f"{source}: its record 'preprocessing' cannot be read "
                f"({type(error).__name__}: {error})"
            ) from None


@dataclass(frozen=True)
class DataRecord:
    """What a file says of the data that its weights were trained on.

    Attributes:
        preprocessing: None where the file does not say.
        classes: names in the order of the classifier's outputs; None where the file does not say.
    """

    preprocessing: Preprocessing | None = None
    classes: tuple[str, ...] | None = None

    def to_meta(self) -> dict[str, Any]:
        """Return the entries of a file's meta: ``preprocessing`` and, under MMEngine's name,
        ``dataset_meta``. What is not known has no entry.
        """
        meta: dict[str, Any] = {}
        if self.preprocessing is not None:
            meta["preprocessing"] = self.preprocessing.to_dict()
        if self.classes is not None:
            meta["dataset_meta"] = {"classes": list(self.classes)}
        return meta

    @classmethod
    def from_meta(cls, meta: Mapping[str, Any], source: object) -> "DataRecord":
        """Read a file's meta: ours, MMEngine's (``dataset_meta``) or an old one (``CLASSES``).

        Raises:
            WeightsError: an entry that is something else; names ``source``.
        """
        written = meta.get("preprocessing")
        if "family" not in meta and not _looks_like_ours(written):
            written = None  # another program's entry of that name
        preprocessing = None if written is None else Preprocessing.from_dict(written, source)
        dataset_meta = meta.get("dataset_meta")
        names = dataset_meta.get("classes") if isinstance(dataset_meta, Mapping) else None
        return cls(preprocessing, class_names(meta.get("CLASSES") if names is None else names))

    def or_else(self, other: "DataRecord") -> "DataRecord":
        """This record, what it does not know taken from another one."""
        return DataRecord(
            self.preprocessing or other.preprocessing,
            self.classes if self.classes is not None else other.classes,
        )

    def conflicts(self, other: "DataRecord") -> list[str]:
        """What both records say and differently: ``what: this | that``."""
        found = []
        mine, theirs = self.preprocessing, other.preprocessing
        if mine and theirs and not mine.same_numbers(theirs):
            found.append(f"preprocessing: {mine.label} | {theirs.label}")
        if None not in (self.classes, other.classes) and self.classes != other.classes:
            found.append(f"classes: {shown_classes(self)} | {shown_classes(other)}")
        return found

    def missing(self) -> list[str]:
        """What is not recorded, in words."""
        gaps = [] if self.preprocessing else ["preprocessing (mean, std, channel order, size)"]
        return [*gaps, *([] if self.classes is not None else ["class names"])]

    def lines(self) -> list[str]:
        """Return the record for a reader."""
        pixels = self.preprocessing.label if self.preprocessing else _NOT_RECORDED
        return [f"preprocessing: {pixels}", f"classes: {shown_classes(self)}"]


def _looks_like_ours(written: Any) -> bool:
    return isinstance(written, Mapping) and {"mean", "std", "channels"} <= written.keys()


def class_names(names: Any) -> tuple[str, ...] | None:
    """Return names as a record keeps them; None where there are none, or something else."""
    if isinstance(names, Sequence) and not isinstance(names, str) and names:
        return tuple(str(name) for name in names)
    return None


def shown_classes(record: DataRecord, shown: int = 4) -> str:
    """Number and first names of a record's classes."""
    names = record.classes
    if names is None:
        return _NOT_RECORDED
    more = ", ..." if len(names) > shown else ""
    return f"{len(names)} ({', '.join(names[:shown])}{more})"


def common_record(records: Sequence[DataRecord]) -> DataRecord:
    """What all of some models have in common: entries on which one is silent, or two differ, are
    not known.
    """
    first, *rest = records
    pixels, classes = first.preprocessing, first.classes
    for other in rest:
        if pixels and not (other.preprocessing and pixels.same_numbers(other.preprocessing)):
            pixels = None
        if classes != other.classes:
            classes = None
    return DataRecord(pixels, classes)
