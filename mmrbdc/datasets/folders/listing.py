"""What MMPretrain's image folders and image lists hold: one listing for check, plan, train, test.

The rules are MMPretrain's (``CLASS/.../IMAGE``, links followed, classes and images sorted by name),
but hidden entries and what operating systems and archives leave behind are left out at any depth.
Nothing is left out without being counted.
"""

import codecs
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mmrbdc.datasets.errors import DataError
from mmrbdc.wording import counted, quoted, shown

SYSTEM_FOLDERS = frozenset(
    {
        "__MACOSX",  # beside the content of ZIP archives made on a Mac
        "lost+found",
        "System Volume Information",
        "$RECYCLE.BIN",
        "#recycle",
        "@eaDir",  # thumbnails of a Synology disk, .jpg among them
        "__pycache__",
    }
)
"""Folders that no user makes; hidden ones, which start with a dot, need no list."""


@dataclass
class ImageListing:
    """The images below a folder.

    Attributes:
        folder: that was listed.
        files: of each class its images, as paths relative to its folder; under ``""`` all of them
            where folders are no classes. Classes and files are sorted.
        not_read: files of other suffixes, counted by suffix; ``""`` for none.
        not_read_of: the same of each class.
        hidden: hidden and system entries.
        loose: images beside the class folders, which belong to no class.
    """

    folder: str
    files: dict[str, list[str]] = field(default_factory=dict)
    not_read: Counter[str] = field(default_factory=Counter)
    not_read_of: dict[str, Counter[str]] = field(default_factory=dict)
    hidden: list[str] = field(default_factory=list)
    loose: list[str] = field(default_factory=list)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the class folders, in the order in which they are numbered."""
        return tuple(self.files)

    @property
    def empty(self) -> list[str]:
        """Classes without an image."""
        return [name for name, files in self.files.items() if not files]

    def __len__(self) -> int:
        """Count the images."""
        return sum(len(files) for files in self.files.values())

    def left_out(self) -> list[str]:
        """What is not read, in words; empty where there is nothing."""
        parts = [
            f"{count:,} {suffix or 'without a suffix'}"
            for suffix, count in self.not_read.most_common()
        ]
        if self.hidden:
            parts.append(f"{len(self.hidden):,} hidden or system ({quoted(self.hidden, 3)})")
        if self.loose:
            parts.append(f"{len(self.loose):,} beside the class folders ({quoted(self.loose, 3)})")
        return parts


def list_images(folder: str, suffixes: Sequence[str], *, by_class: bool) -> ImageListing:
    """List the images below a folder.

    Args:
        folder: on a local disk.
        suffixes: of images, lower case.
        by_class: whether the folders in it are classes.

    Raises:
        DataError: a folder cannot be listed, a link leads nowhere or in a circle, or two classes
            have names that look the same.
    """
    listing = ImageListing(folder)
    walk = _Walk(listing, tuple(suffixes))
    if not by_class:
        listing.files[""] = sorted(walk.images("", listing.not_read))
        return listing
    top = list(walk.entries(""))
    for name, is_folder in sorted(top):
        if is_folder:
            counted = listing.not_read_of[name] = Counter()
            start = len(name) + 1
            listing.files[name] = sorted(path[start:] for path in walk.images(name, counted))
            listing.not_read += counted
        elif walk.is_image(name):
            listing.loose.append(name)
        else:
            listing.not_read[_suffix(name)] += 1
    _refuse_twins(listing)
    return listing


class _Walk:
    """Walks below a folder; links are followed, as MMEngine follows them."""

    def __init__(self, listing: ImageListing, suffixes: tuple[str, ...]) -> None:
        self.root = listing.folder
        self.suffixes = suffixes
        self.hidden = listing.hidden

    def is_image(self, name: str) -> bool:
        return name.lower().endswith(self.suffixes)

    def images(
        self, relative: str, not_read: Counter[str], above: tuple[tuple[int, int], ...] = ()
    ) -> Iterator[str]:
        """Images below a folder as paths relative to the root; counts the other files."""
        path = os.path.join(self.root, relative)
        try:
            found = os.stat(path)
        except OSError as error:
            raise _cannot_list(path, error) from error
        here = (found.st_dev, found.st_ino)
        if here in above:
            raise DataError(
                f"'{path}' is a link that leads back to a folder above it, so its images have no "
                "end; remove the link"
            )
        for name, is_folder in self.entries(relative):
            if is_folder:
                yield from self.images(name, not_read, (*above, here))
            elif self.is_image(name):
                yield name
            else:
                not_read[_suffix(name)] += 1

    def entries(self, relative: str) -> Iterator[tuple[str, bool]]:
        """Entries of one folder, relative to the root, and whether each is a folder."""
        folder = os.path.join(self.root, relative) if relative else self.root
        try:
            with os.scandir(folder) as entries:
                found = list(entries)
        except OSError as error:
            raise _cannot_list(folder, error) from error
        for entry in found:
            name = f"{relative}/{entry.name}" if relative else entry.name
            if entry.name.startswith(".") or entry.name in SYSTEM_FOLDERS:
                self.hidden.append(name)
                continue
            if entry.is_symlink() and not os.path.exists(entry.path):
                # A name without a suffix may be that of a folder.
                if self.is_image(name) or not _suffix(name):
                    raise DataError(
                        f"'{entry.path}' is a link to '{os.readlink(entry.path)}', which is not "
                        "there or not readable; mend or remove the link"
                    )
                yield name, False
            elif entry.is_dir() or entry.is_file():
                yield name, entry.is_dir()
            else:
                self.hidden.append(name)  # a pipe or a socket


def _cannot_list(folder: str, error: OSError) -> DataError:
    return DataError(
        f"the folder '{folder}' cannot be listed ({error.strerror}); mend its permissions, or "
        "remove it"
    )


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _refuse_twins(listing: ImageListing) -> None:
    seen: dict[str, str] = {}
    for name in listing.classes:
        other = seen.setdefault(unicodedata.normalize("NFC", name), name)
        if other != name:
            raise DataError(
                f"two class folders in '{listing.folder}' have names that look the same, "
                f"{other!a} and {name!a}: one letter is written in two ways of Unicode; "
                "move their images into one folder"
            )


def classes_remark(listing: ImageListing) -> str | None:
    """Say which class names differ in upper and lower case only."""
    by_name: dict[str, list[str]] = {}
    for name in listing.classes:
        by_name.setdefault(name.casefold(), []).append(name)
    alike = [name for names in by_name.values() if len(names) > 1 for name in names]
    return f"classes that differ in upper and lower case only: {quoted(alike)}" if alike else None


def depth_remark(listing: ImageListing) -> str | None:
    """Say that the one class folder there is has folders that may be the classes."""
    if len(listing.classes) != 1:
        return None
    (name,), (files,) = listing.classes, listing.files.values()
    inner = sorted({path.partition("/")[0] for path in files})
    if len(inner) < 2 or not all("/" in path for path in files):
        return None
    return (
        f"{name!r} is the only class folder, and all of its images are in "
        f"{counted(len(inner), 'folder')} below it ({quoted(inner)}); if those are the classes, "
        f"name '{listing.folder}/{name}' as their folder: data_root or data_prefix"
    )


def read_image_list(path: str | os.PathLike, *, labelled: bool) -> list[tuple[str, int | None]]:
    """Read a list of images: ``IMAGE NUMBER`` a line, or ``IMAGE`` where there are no labels.

    Blanks or tabs stand before the number, and may stand in the image's name; empty lines, a
    byte-order mark and the ends of lines of Windows and old Macs are no matter.

    Raises:
        DataError: the file is missing, in another encoding, or a line is not what it should be.
    """
    try:
        data = Path(path).read_bytes()
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise DataError(f"'{path}' is not in UTF-8 but in UTF-16; save it as UTF-8")
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"'{path}' cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"'{path}' is not in UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8"
        ) from error
    found: list[tuple[str, int | None]] = []
    for number, line in enumerate(re.split("\r\n|\r|\n", text), start=1):
        line = line.strip()
        if not line:
            continue
        if not labelled:
            found.append((line, None))
            continue
        parts = re.fullmatch(r"(.*\S)\s+([0-9]+)", line)
        if parts is None:
            raise DataError(f"line {number} of '{path}' is not 'IMAGE NUMBER': {shown(line)}")
        found.append((parts[1], int(parts[2])))
    return found


def missing_images(folder: str, names: Iterable[str]) -> list[str]:
    """Those of a list that are not there; every folder is read once."""
    folders: dict[str, set[str]] = {}
    missing = []
    for name in names:
        parent, base = os.path.split(os.path.join(folder, name))
        if parent not in folders:
            try:
                folders[parent] = set(os.listdir(parent or "."))
            except OSError:
                folders[parent] = set()
        if base not in folders[parent]:
            missing.append(name)
    return missing
