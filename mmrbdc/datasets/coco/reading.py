"""Reading JSON files, one way for all tools: the encodings that occur, errors that say where.

What ``json`` of Python reads is read, and besides: a byte-order mark, UTF-16 and UTF-32. A key that
stands twice in one object is an error, since readers differ in which they take.
"""

import gc
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmrbdc.datasets.coco.polygons import Polygons
from mmrbdc.datasets.errors import DataError
from mmrbdc.wording import shown

COCO_CONTENT = "COCO annotations ('images', 'annotations' and 'categories')"
_LEADS = {
    b"\x1f\x8b": "a gzip archive; unpack it",
    b"PK\x03\x04": "a zip archive; unpack it",
    b"version https://git-lfs": "a pointer of Git LFS; get the file itself with `git lfs pull`",
    b"<": "a web page or XML; download the file itself",
}
_PAGES = (("cp932", "Shift-JIS"), ("gb18030", "GBK"), ("cp949", "Korean"))


@dataclass(eq=False)
class CocoFile:
    """What a file of annotations holds, as it was read: nothing is judged yet.

    Attributes:
        path: of the file.
        sha256: of its bytes.
        content: its one JSON value; lists of polygons are places in ``polygons``.
        polygons: of the whole file.
    """

    path: Path
    sha256: str
    content: Any = field(repr=False)
    polygons: Polygons = field(repr=False)


def read_coco(path: str | Path) -> CocoFile:
    """Read a file of annotations, whatever is in it.

    Raises:
        DataError: as of ``read_json``.
    """
    polygons = Polygons()

    def pack(row: dict[str, Any]) -> None:
        segmentation = row.get("segmentation")
        if type(segmentation) is list:
            row["segmentation"] = polygons.pack(segmentation)

    content, sha256 = read_json(Path(path), COCO_CONTENT, pack)
    polygons.close()
    return CocoFile(Path(path), sha256, content, polygons)


def read_json(
    path: Path, content: str, change: Callable[[dict[str, Any]], None] | None = None
) -> tuple[Any, str]:
    """Read a JSON file.

    Args:
        path: of the file.
        content: what should be in it, for error messages.
        change: called with each object as soon as it is read, innermost first.

    Returns:
        What the file holds and the SHA-256 of its bytes.

    Raises:
        DataError: the file is missing, cannot be read, is in an encoding that is not certain, is
            not JSON, or has a key twice in one object.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path} is missing; it should hold {content}") from None
    except (OSError, ValueError) as error:  # ValueError: no name that a file can have
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path} cannot be read: {reason}") from None
    sha256 = hashlib.sha256(data).hexdigest()
    if not data.strip(b" \t\r\n\0\xef\xbb\xbf\xff\xfe"):
        raise DataError(f"{path} is not JSON (it is empty); it should hold {content}")
    for lead, what in _LEADS.items():
        if data.startswith(lead):
            raise DataError(f"{path} is not JSON (it is {what}); it should hold {content}")
    text = _decoded(data, path, content)
    del data
    return _parsed(text, path, content, change), sha256


def _decoded(data: bytes, path: Path, content: str) -> str:
    encoding = json.detect_encoding(data)
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        where = f"byte {error.start:,} (line {line:,}) is {data[error.start]:#04x}"
        if encoding != "utf-8":
            raise DataError(
                f"{path} is not JSON: it begins as {encoding.upper()} but {where}; save it as UTF-8"
            ) from None
        if data[:1] not in b"{[ \t\r\n":
            raise DataError(
                f"{path} is not JSON ({where}, which is not text); it should hold {content}"
            ) from None
        raise DataError(
            f"{path} is not in UTF-8, as JSON is: {where}, {_likely(data, error.start)}; save it "
            "as UTF-8. Another encoding is not guessed, since wrong letters would go unnoticed"
        ) from None


def _likely(data: bytes, start: int) -> str:
    """Say what the bytes around the first odd one would be in Windows' code pages."""
    near = data[max(0, start - 20) : start + 20]
    readings = []
    for encoding, name in (("cp1252", "Windows-1252"), *_PAGES):
        try:
            word = near.decode(encoding, errors="strict").replace("\n", " ").strip()
        except UnicodeDecodeError:
            continue
        readings.append(f"{name} ({shown(word)})")
    return f"as in {' or '.join(readings[:2])}" if readings else "in no encoding that is known"


class _TwiceError(Exception):
    """A key stands twice in one object."""


def _parsed(
    text: str, path: Path, content: str, change: Callable[[dict[str, Any]], None] | None
) -> Any:
    def made(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        row = dict(pairs)
        if len(row) != len(pairs):
            keys = [key for key, _ in pairs]
            raise _TwiceError(next(key for key in keys if keys.count(key) > 1), row)
        if change is not None:
            change(row)
        return row

    collects = gc.isenabled()
    gc.disable()  # it would go through millions of new lists again and again and find nothing
    try:
        return json.loads(text, object_pairs_hook=made)
    except _TwiceError as error:
        key, row = error.args
        raise DataError(
            f"{path}: the key {shown(key)} stands twice in one object{_which(row)}; programs "
            "differ in which of the two they take: keep one"
        ) from None
    except RecursionError:
        raise DataError(
            f"{path}: lists or objects are nested deeper than Python reads; it should hold "
            f"{content}"
        ) from None
    except ValueError as error:
        if not isinstance(error, json.JSONDecodeError):
            raise DataError(
                f"{path} is not JSON (a number is too long); it should hold {content}"
            ) from None
        raise DataError(
            f"{path} is not JSON ({error}); it should hold {content}{_likely_cause(error)}"
        ) from None
    finally:
        if collects:
            gc.enable()


def _likely_cause(error: json.JSONDecodeError) -> str:
    """What mostly makes a file that stops being JSON at such a place, and what to do then."""
    text, at = error.doc, error.pos
    before, rest = text[:at].rstrip(), text[at:].lstrip()
    if not rest.strip("\0"):
        return ". The file breaks off: it was copied or written in part; make it again"
    if error.msg.startswith("Unterminated"):
        return ". Either a quote is missing or the file breaks off; make it again"
    if error.msg == "Extra data":
        more = "another document" if rest[0] in "[{" else f"{shown(rest[:20])}"
        return f". Behind its one value it has {more}; JSON Lines and joined files are not read"
    if rest.startswith(("//", "/*", "#")):
        return ". JSON has no comments; take them out"
    trailing = error.msg.startswith("Illegal trailing comma")  # as Python says it from 3.13 on
    if trailing or (before.endswith(",") and rest[0] in "]},"):
        return ". A comma is left over; take it out"
    if rest.startswith(("'", "None", "True", "False")) or before.endswith("'"):
        return ". It looks like Python's print of a dict; write it with json.dump"
    if not before:
        return ". It begins with none of JSON's values: is it another kind of file?"
    return ". Mend that place, or write the file again with a JSON library"


def _which(row: Mapping[str, Any]) -> str:
    return f" (of id {shown(row['id'])})" if "id" in row else ""
