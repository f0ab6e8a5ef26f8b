"""The JSON files of a run, read strictly: an odd field is an error that names its file."""

import json
import math
from pathlib import Path
from typing import Any

from mmrbdc.runs.errors import AnalysisError


class Record:
    """One JSON object of a file, whose fields are checked as they are read.

    Args:
        value: what the file holds there.
        where: file, and the place in it, for error messages.
        made_by: who writes the file, for error messages.

    Raises:
        AnalysisError: ``value`` is no JSON object; later, from the methods, a field that is
            missing, of another type or out of its range.
    """

    def __init__(self, value: Any, where: str, made_by: str) -> None:
        self.where = where
        self.made_by = made_by
        if not isinstance(value, dict):
            raise self.error(f"expected an object, got {_shown(value)}")
        self.fields: dict[str, Any] = value

    def error(self, problem: str) -> AnalysisError:
        """Return the error that says where ``problem`` is and who wrote the file."""
        return AnalysisError(f"{self.where}: {problem} (the file is written by {self.made_by})")

    def has(self, key: str) -> bool:
        """Tell whether ``key`` is there and not null."""
        return self.fields.get(key) is not None

    def value(self, key: str) -> Any:
        """Return whatever ``key`` is, None where it is missing."""
        return self.fields.get(key)

    def number(self, key: str, low: float = 0.0, high: float = math.inf) -> float:
        """Return the finite number ``key``, which lies in ``[low, high]``."""
        return self._number(self._get(key), key, low, high)

    def integer(self, key: str, low: int = 0) -> int:
        """Return the integer ``key``, which is at least ``low``."""
        value = self._get(key)
        if isinstance(value, bool) or not isinstance(value, int) or value < low:
            raise self.error(f"'{key}' should be an integer >= {low}, got {_shown(value)}")
        return value

    def integers(self, key: str, low: int = 0) -> tuple[int, ...]:
        """Return the list ``key`` of integers, each at least ``low``."""
        values = self._list(key)
        fields = {f"{key}[{i}]": value for i, value in enumerate(values)}
        record = Record(fields, self.where, self.made_by)
        return tuple(record.integer(name, low) for name in fields)

    def text(self, key: str) -> str:
        """Return the non-empty string ``key``."""
        value = self._get(key)
        if not isinstance(value, str) or not value:
            raise self.error(f"'{key}' should be a non-empty string, got {_shown(value)}")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of strings."""
        values = self.value(key)
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise self.error(f"'{key}' should be a list of strings, got {values!r}")
        return tuple(values)

    def numbers(self, key: str, low: float = 0.0, high: float = math.inf) -> tuple[float, ...]:
        """Return the list ``key`` of finite numbers in ``[low, high]``."""
        values = self._list(key)
        return tuple(self._number(v, f"{key}[{i}]", low, high) for i, v in enumerate(values))

    def record(self, key: str) -> "Record":
        """Return the object ``key``."""
        return Record(self._get(key), f"{self.where}, '{key}'", self.made_by)

    def records(self, key: str) -> list["Record"]:
        """Return the non-empty list ``key`` of objects."""
        values = self._list(key)
        if not values:
            raise self.error(f"'{key}' is empty")
        return [
            Record(value, f"{self.where}, '{key}[{i}]'", self.made_by)
            for i, value in enumerate(values)
        ]

    def _get(self, key: str) -> Any:
        if key not in self.fields:
            raise self.error(f"'{key}' is missing")
        return self.fields[key]

    def _list(self, key: str) -> list[Any]:
        value = self._get(key)
        if not isinstance(value, list):
            raise self.error(f"'{key}' should be a list, got {_shown(value)}")
        return value

    def _number(self, value: Any, key: str, low: float, high: float) -> float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value) or not low <= value <= high:
            bounds = f">= {low:g}" if math.isinf(high) else f"from {low:g} to {high:g}"
            raise self.error(f"'{key}' should be a number {bounds}, got {_shown(value)}")
        return float(value)


def read_record(path: Path, made_by: str) -> Record:
    """Read a JSON file that holds one object."""
    return Record(_read(path, made_by), str(path), made_by)


def read_records(path: Path, made_by: str) -> list[Record]:
    """Read a JSON file that holds a non-empty list of objects."""
    return Record({"entries": _read(path, made_by)}, str(path), made_by).records("entries")


def _read(path: Path, made_by: str) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise AnalysisError(f"{path} is missing; it is written by {made_by}") from None
    except OSError as error:
        raise AnalysisError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise AnalysisError(
            f"{path} is not JSON ({error}); it is written by {made_by}, make it again"
        ) from None


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
