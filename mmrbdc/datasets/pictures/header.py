"""What a picture file holds, from its bytes: its size, and what loading it changes without a word.

Everything here reads headers only; whether a picture can be used is decided by the loader that
trains (:class:`mmrbdc.datasets.LoadImageFromFile`), see :mod:`mmrbdc.datasets.pictures.check`.
"""

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePath

from PIL import Image, ImageCms

MAX_PIXELS = 178_956_970
"""Pixels above which Pillow, too, refuses a picture as a decompression bomb."""

_EXIF_ORIENTATION, _TURNED = 274, {5, 6, 7, 8}
_BITS_PER_SAMPLE = 258
_EXIF = b"Exif\0\0"
_SUFFIXES = {
    "JPEG": {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"},
    "MPO": {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"},
    "PNG": {".png", ".apng"},
    "TIFF": {".tif", ".tiff"},
    "BMP": {".bmp", ".dib"},
    "GIF": {".gif"},
    "WEBP": {".webp"},
    "PPM": {".ppm", ".pgm", ".pbm", ".pnm", ".pfm"},
    "JPEG2000": {".jp2", ".j2k", ".jpx", ".jpf", ".j2c"},
    "AVIF": {".avif", ".avifs"},
}
_OTHER_FILES = (
    (b"version https://git-lfs", "a Git LFS pointer: fetch the file itself with `git lfs pull`"),
    (b"<!doctype", "a web page, as a failed download leaves it"),
    (b"<html", "a web page, as a failed download leaves it"),
    (b"<?xml", "an XML or SVG file"),
    (b"<svg", "an SVG file"),
    (b"%pdf", "a PDF file"),
    (b"pk\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
)
_BEGINNINGS = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG", "PNG"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"RIFF", "WEBP"),
)
_MODES = {
    "1": "of one bit: black and white become 0 and 255",
    "L": "in grey: three equal channels are loaded",
    "CMYK": "in CMYK: converted without a colour profile",
    "LAB": "in Lab colours, converted",
    "YCbCr": "in YCbCr colours, converted",
    "HSV": "in HSV colours, converted",
}


@dataclass(frozen=True)
class Header:
    """What the header of a picture says.

    Attributes:
        format: as Pillow calls it.
        size: width and height as stored, pixels.
        turned_size: width and height after EXIF's orientation.
        findings: what loading changes; each is a phrase that follows "3 images".
        details: of findings that have one, such as the name of a colour profile.
    """

    format: str
    size: tuple[int, int]
    turned_size: tuple[int, int]
    findings: tuple[str, ...] = ()
    details: tuple[tuple[str, str], ...] = ()


def read_size(content: bytes) -> tuple[str, tuple[int, int]] | None:
    """Format, width and height (pixels) as stored; None where Pillow does not know the file."""
    with _opened(content) as image:
        return None if image is None else (image.format or "", image.size)


def read_header(content: bytes, name: str) -> Header | None:
    """Read a header with all that is worth knowing; None where Pillow does not know the file.

    Args:
        content: the file's bytes.
        name: the file's, for its suffix.
    """
    with _opened(content) as image:
        if image is None:
            return None
        orientation = _orientation(image)
        size = image.size
        details: list[tuple[str, str]] = []
        return Header(
            format=image.format or "",
            size=size,
            turned_size=size[::-1] if orientation in _TURNED else size,
            findings=tuple(_findings(image, content, name, orientation, details)),
            details=tuple(details),
        )


def may_be_turned(content: bytes) -> bool:
    """Whether EXIF turns or mirrors a picture, or does not say that it stands upright."""
    if _EXIF not in content:
        return False
    with _opened(content) as image:
        if image is None:
            return True
        try:
            return image.getexif().get(_EXIF_ORIENTATION) != 1
        except Exception:  # malformed EXIF fails in every way
            return True


def is_damaged(content: bytes, known: bool | None = None) -> bool:
    """Whether the structure of a file shows that no decoder should touch it.

    One damaged length in a PNG lets OpenCV ask for gigabytes; and JPEG, PNG, GIF and WebP whose
    header Pillow cannot read have no size that could be looked at first.

    Args:
        content: the file's bytes.
        known: whether Pillow reads the header, where that was asked already.
    """
    if known is None:
        known = read_size(content) is not None
    kind = next((kind for magic, kind in _BEGINNINGS if content.startswith(magic)), None)
    if kind in ("JPEG", "PNG", "GIF", "WEBP") and not known:
        return True
    if kind != "PNG":
        return False
    at = 8
    while at + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, at)
        if content[at + 4 : at + 8] == b"IEND":
            return False
        at += 12 + length
    return True


def kind_of(content: bytes) -> str:
    """Say what bytes are that no decoder reads."""
    if not content:
        return "the file is empty"
    start = content[:64].lstrip().lower()
    for magic, what in _OTHER_FILES:
        if start.startswith(magic):
            return f"the file is {what}"
    if content[4:8] == b"ftyp" and content[8:12] in (b"heic", b"heix", b"mif1", b"msf1", b"heim"):
        return "the file is HEIC, as phones save it; convert it to JPEG or PNG"
    found = read_size(content)
    kind = next((kind for magic, kind in _BEGINNINGS if content.startswith(magic)), "")
    if found is not None:
        kind = f"{found[0]} of {found[1][0]} x {found[1][1]} px"
    if not kind:
        return "the file is not a picture of a known kind"
    return f"the file begins as {kind}, but is cut, damaged or of a rare kind"


def _findings(
    image: Image.Image,
    content: bytes,
    name: str,
    orientation: int,
    details: list[tuple[str, str]],
) -> Iterator[str]:
    if orientation > 1:
        yield "turned or mirrored by EXIF orientation, which annotations must follow"
    if _bits(image, content) > 8:
        yield "of more than 8 bits a channel, of which the upper 8 are loaded"
    if "A" in image.mode.replace("LAB", "") or "a" in image.mode or "transparency" in image.info:
        yield "with transparency, which is dropped: colours under it show"
    if image.mode.startswith("L") and image.mode != "LAB":
        yield _MODES["L"]
    elif image.mode in _MODES:
        yield _MODES[image.mode]
    if _several(image):
        yield "of several frames, pages or views, of which the first is loaded"
    profile = image.info.get("icc_profile")
    if profile:
        described = _profile_name(profile)
        if "srgb" not in described.lower():
            what = "with a colour profile that is not sRGB and is not applied"
            details.append((what, described))
            yield what
    suffix = PurePath(name).suffix.lower()
    known = set().union(*_SUFFIXES.values())
    if suffix in known and suffix not in _SUFFIXES.get(image.format or "", known):
        what = "whose content is of another kind than the name says"
        details.append((what, f"{image.format}"))
        yield what


@contextmanager
def _opened(content: bytes) -> Iterator[Image.Image | None]:
    """The picture, its pixels unread. Pillow's limit of pixels is the loader's to judge here."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    image = None
    try:
        try:
            image = Image.open(io.BytesIO(content))
        except Exception:  # malformed headers fail in every way
            image = None
        yield image
    finally:
        Image.MAX_IMAGE_PIXELS = limit
        if image is not None:
            image.close()


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(_EXIF_ORIENTATION, 1)
    except Exception:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _bits(image: Image.Image, content: bytes) -> int:
    """Bits a channel as stored: Pillow's modes hide those of colour pictures."""
    if image.format == "PNG":
        return content[24]
    if image.format == "TIFF":
        bits = image.tag_v2.get(_BITS_PER_SAMPLE, 1)  # type: ignore[attr-defined]
        return max(bits) if isinstance(bits, tuple) else int(bits)
    return 16 if image.mode.startswith(("I", "F")) else 8


def _several(image: Image.Image) -> bool:
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:
        return False


@lru_cache(maxsize=64)
def _profile_name(profile: bytes) -> str:
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return ImageCms.getProfileDescription(opened).strip()
    except Exception:
        return "unreadable"
