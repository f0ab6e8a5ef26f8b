"""Draws of COCO files that are wrong in one to four ways, and what a file means if anything.

``files`` is a strategy of Hypothesis; a drawn file knows what was done to it. ``repaired`` reads
bytes by plain rules of its own: what the program accepts, this has to understand, and both have to
score alike.
"""

import copy
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.datasets.coco.small_coco import HEIGHT, WIDTH, corners, small

Content = dict[str, Any]
ODD = (
    *(None, True, False, "", "3", "ant", 0, -1, 1, 2.5, 1e8, -1e300, 2**31, 2**63, 10**400),
    *(math.nan, math.inf, [], [1], [[]], {}, {"id": 1}, [None] * 4, ["1", "2", "3", "4"]),
)
FIELDS = {
    "images": ("id", "width", "height", "file_name"),
    "annotations": ("id", "image_id", "category_id", "bbox", "area", "iscrowd", "segmentation"),
    "categories": ("id", "name"),
}


@dataclass(frozen=True)
class Drawn:
    """A file.

    Attributes:
        data: its bytes.
        base: its content before anything was done to it.
        ways: what was done.
    """

    data: bytes
    base: Content
    ways: tuple[str, ...]

    def __repr__(self) -> str:
        return f"{' + '.join(self.ways)}: {self.data[:3000]!r}"


def row_of(draw: Any, content: Content, section: str) -> dict[str, Any]:
    return draw(st.sampled_from(content[section]))


def any_field(draw: Any, content: Content) -> tuple[dict[str, Any], str]:
    section = draw(st.sampled_from(sorted(FIELDS)))
    return row_of(draw, content, section), draw(st.sampled_from(FIELDS[section]))


def odd_value(draw: Any, content: Content) -> None:
    row, field = any_field(draw, content)
    row[field] = copy.deepcopy(draw(st.sampled_from(ODD)))


def missing_field(draw: Any, content: Content) -> None:
    row, field = any_field(draw, content)
    row.pop(field, None)


def missing_everywhere(draw: Any, content: Content) -> None:
    field = draw(st.sampled_from(FIELDS["annotations"]))
    for row in content["annotations"]:
        row.pop(field, None)


def another_field(draw: Any, content: Content) -> None:
    row, _ = any_field(draw, content)
    names = st.sampled_from(["ignore", "score", "attributes", "é", "", "license"])
    row[draw(names)] = draw(st.sampled_from(ODD))


def ids_from_zero(draw: Any, content: Content) -> None:
    section = draw(st.sampled_from(sorted(FIELDS)))
    old = {row["id"]: number for number, row in enumerate(content[section])}
    for row in content[section]:
        row["id"] = old[row["id"]]
    if section != "annotations":
        field = "image_id" if section == "images" else "category_id"
        for row in content["annotations"]:
            row[field] = old.get(row.get(field), 0)


def twice(draw: Any, content: Content) -> None:
    section = draw(st.sampled_from(sorted(FIELDS)))
    one = row_of(draw, content, section)
    field = draw(st.sampled_from(["id", "file_name", "name"]))
    content[section].append({**copy.deepcopy(one), "id": 900} if field != "id" else dict(one))


def not_listed(draw: Any, content: Content) -> None:
    row = row_of(draw, content, "annotations")
    row[draw(st.sampled_from(["image_id", "category_id"]))] = draw(st.sampled_from([0, 99, -3]))


def box(draw: Any, content: Content) -> None:
    row = row_of(draw, content, "annotations")
    number = st.one_of(
        st.integers(-100, 200),
        st.floats(-100, 200),
        st.sampled_from([0, 0.5, WIDTH, 1e9, math.nan, -math.inf, "4"]),
    )
    row["bbox"] = draw(st.lists(number, min_size=3, max_size=5))


def box_of_corners(draw: Any, content: Content) -> None:
    for row in content["annotations"]:
        x, y, width, height = row["bbox"]
        row["bbox"] = [x, y, x + width, y + height]


def polygon(draw: Any, content: Content) -> None:
    row = row_of(draw, content, "annotations")
    number = st.one_of(
        st.integers(-200, 300),
        st.floats(0, WIDTH),
        st.sampled_from([2e8, -1e9, 1e308, math.nan, math.inf, None, "1"]),
    )
    inside = st.lists(st.integers(0, HEIGHT), min_size=0, max_size=9)
    shapes = [
        inside,
        st.lists(inside, max_size=3),
        st.lists(st.lists(number, max_size=8), max_size=2),
        st.lists(st.lists(st.lists(number, max_size=2), max_size=4), max_size=2),
        st.just([[corners([3, 4, 9, 8])]]),
    ]
    row["segmentation"] = draw(st.one_of(shapes))


def rle(draw: Any, content: Content) -> None:
    row = row_of(draw, content, "annotations")
    total = WIDTH * HEIGHT
    first = draw(st.integers(0, total))
    counts = draw(
        st.one_of(
            st.just([first, total - first]),
            st.lists(st.integers(-5, total), max_size=6),
            st.sampled_from([None, 3, "", "0", "PP1", "é", "b'PP1'", [1.5, total - 1.5], ["1"]]),
            st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=12),
        )
    )
    sizes = [[HEIGHT, WIDTH], [WIDTH, HEIGHT], [HEIGHT], None, [0, 0], ["40", "60"], [40.0, 60.0]]
    row["segmentation"] = {"size": draw(st.sampled_from(sizes)), "counts": counts}
    if draw(st.booleans()):
        row["segmentation"].pop(draw(st.sampled_from(["size", "counts"])))


def crowd(draw: Any, content: Content) -> None:
    row_of(draw, content, "annotations")["iscrowd"] = draw(
        st.sampled_from([0, 1, True, False, 1.0, 2, -1, "0", None, 0.5])
    )


def all_small(draw: Any, content: Content) -> None:
    side = draw(st.sampled_from([0, 0.25, 0.99]))
    for row in content["annotations"]:
        x, y = row["bbox"][:2]
        row.update(bbox=[x, y, side, side], area=side * side)


def names(draw: Any, content: Content) -> None:
    text = st.sampled_from(
        ["bolt [red]M8", "[/old]", "a, b", " ant", "ant ", "é", "猫", "\x00", "\n"]
    )
    row_of(draw, content, "categories")["name"] = draw(text)


def order_of_categories(draw: Any, content: Content) -> None:
    content["categories"] = draw(st.permutations(content["categories"]))


def section(draw: Any, content: Content) -> None:
    name = draw(st.sampled_from(sorted(FIELDS)))
    if draw(st.booleans()):
        content[name] = copy.deepcopy(draw(st.sampled_from(ODD)))
    else:
        del content[name]


def odd_row(draw: Any, content: Content) -> None:
    content[draw(st.sampled_from(sorted(FIELDS)))].append(copy.deepcopy(draw(st.sampled_from(ODD))))


def harmless(draw: Any, content: Content) -> None:
    """What differs between programs that write such files, and changes nothing."""
    annotations, images = content["annotations"], content["images"]
    for _ in range(draw(st.integers(1, 3))):
        row = row_of(draw, content, "annotations")
        kind = draw(st.integers(0, 8))
        if kind == 0:
            row.pop("iscrowd", None)
        elif kind == 1:
            row["iscrowd"] = draw(st.sampled_from([True, False, 1.0, 0.0]))
        elif kind == 2:
            row["bbox"] = [side + draw(st.sampled_from([0.0, 0.125])) for side in row["bbox"]]
        elif kind == 3:
            row["area"] = row["area"] + draw(st.floats(0, 5))
        elif kind == 4 and isinstance(row["segmentation"], list):
            row["segmentation"].append(draw(st.sampled_from([[], [1, 1], [2, 2, 3, 3]])))
        elif kind == 5:
            image = row_of(draw, content, "images")
            image["width"], image["height"] = float(image["width"]), float(image["height"])
        elif kind == 6:
            row["id"] = draw(st.sampled_from([-7, 10**12, 2**53 - row["id"]])) - row["id"]
        elif kind == 7:
            content["annotations"] = annotations = draw(st.permutations(annotations))
        else:
            content["images"] = images = draw(st.permutations(images))


ONE_VALUE = [odd_value, missing_field, another_field, twice, not_listed, box, polygon, rle, crowd]
ALL_ROWS = [missing_everywhere, ids_from_zero, box_of_corners, all_small, order_of_categories]
SECTIONS = [odd_row, section]
ENCODINGS = {
    "byte-order mark": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-16 without a mark": lambda text: text.encode("utf-16-le"),
    "UTF-32": lambda text: text.encode("utf-32"),
    "two byte-order marks": lambda text: b"\xef\xbb\xbf" * 2 + text.encode(),
    "Windows-1252": lambda text: text.replace('"bee"', '"b\u00e9e"').encode("cp1252", "replace"),
    "another value behind": lambda text: (text + text).encode(),
    "a key twice": lambda text: text.replace('"images"', '"images": [], "images"', 1).encode(),
    "deep": lambda text: (text[:-1] + ', "info2": ' + "[" * 9999 + "]" * 9999 + "}").encode(),
    "a long number": lambda text: text.replace('"area": ', '"area": ' + "9" * 5000, 1).encode(),
    "nothing": lambda text: b"",
    "white space": lambda text: b" \n\t",
    "in single quotes": lambda text: text.replace('"', "'").encode(),
    "zip": lambda text: b"PK\x03\x04" + text.encode(),
}


@st.composite
def files(draw: Any) -> Drawn:
    """Files that are wrong in one to four ways: in their values, their lists, their bytes."""
    base = small(seed=draw(st.integers(0, 3)), images=3, objects=8)
    content = copy.deepcopy(base)
    ways = []

    def done(way: Callable[[Any, Content], None]) -> None:
        way(draw, content)
        ways.append(way.__name__)

    where = draw(
        st.sampled_from(["harmless", "harmless", "values", "values", "rows", "sections", "bytes"])
    )
    if where == "rows" or (where in ("sections", "bytes") and draw(st.booleans())):
        done(draw(st.sampled_from([*ALL_ROWS, names])))
    if where == "harmless":
        done(harmless)
    if where == "values" or (where != "harmless" and draw(st.booleans())):
        for way in draw(st.lists(st.sampled_from(ONE_VALUE), min_size=1, max_size=2)):
            done(way)
    if where == "sections":
        done(draw(st.sampled_from(SECTIONS)))
    text = json.dumps(content, ensure_ascii=draw(st.booleans()))
    data = text.encode(errors="surrogatepass")
    if where == "bytes":
        kind = draw(st.sampled_from([*ENCODINGS, "cut off", "a byte changed"]))
        ways.append(kind)
        if kind == "cut off":
            data = data[: draw(st.integers(0, len(data) - 1))]
        elif kind == "a byte changed":
            place = draw(st.integers(0, len(data) - 1))
            data = data[:place] + bytes([draw(st.integers(0, 255))]) + data[place + 1 :]
        else:
            data = ENCODINGS[kind](text)
    return Drawn(data, base, tuple(ways))


class NoMeaning(Exception):
    """A file that says nothing certain."""


def need(condition: Any) -> None:
    if not condition:
        raise NoMeaning


def is_integer(value: Any) -> bool:
    return type(value) is int and abs(value) < 2**63


def is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e300


def of_one_kind(rows: Any) -> list[dict[str, Any]]:
    """Rows with an id of their own."""
    need(isinstance(rows, list) and all(isinstance(row, dict) for row in rows))
    ids = [row.get("id") for row in rows]
    need(all(map(is_integer, ids)) and len(set(ids)) == len(ids))
    return rows


def repaired(data: bytes) -> Content:
    """What a file means, as pycocotools reads it without a surprise.

    Raises:
        NoMeaning: it means nothing, or more than one thing.
    """
    try:
        text = data.decode(json.detect_encoding(data))
        content = json.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError):
        raise NoMeaning from None
    need(isinstance(content, dict))
    images = {row["id"]: row for row in of_one_kind(content.get("images"))}
    for row in images.values():
        need(isinstance(row.get("file_name"), str))
        for side in ("width", "height"):
            need(is_number(row.get(side)) and row[side] == int(row[side]) and row[side] > 0)
            row[side] = int(row[side])
    categories = of_one_kind(content.get("categories"))
    labels = [row.get("name") for row in categories]
    need(all(isinstance(name, str) for name in labels) and len(set(labels)) == len(labels))
    known = {row["id"] for row in categories}
    annotations = []
    for row in of_one_kind(content.get("annotations")):
        need(row["id"] != 0)  # pycocotools' word for "no match"
        need(is_integer(row.get("image_id")) and row["image_id"] in images)
        need(is_integer(row.get("category_id")) and row["category_id"] in known)
        sides = row.get("bbox")
        need(isinstance(sides, list) and len(sides) == 4 and all(map(is_number, sides)))
        need(sides[2] >= 0 and sides[3] >= 0)
        need(is_number(row.get("area")) and row["area"] >= 0)
        need(row.get("iscrowd", 0) in (0, 1))
        fields = ("id", "image_id", "category_id", "bbox", "area")
        plain = {name: row[name] for name in fields} | {"iscrowd": int(row.get("iscrowd", 0))}
        plain["segmentation"] = mask_of(row.get("segmentation"), images[row["image_id"]])
        annotations.append(plain)
    return dict(images=list(images.values()), annotations=annotations, categories=categories)


def mask_of(mask: Any, image: dict[str, Any]) -> Any:
    """Polygons of three points or more, or an RLE that covers the image."""
    if isinstance(mask, dict):
        need(mask.get("size") == [image["height"], image["width"]])
        counts = mask.get("counts")
        need(isinstance(counts, str | list))
        if isinstance(counts, list):
            need(all(is_integer(count) and count >= 0 for count in counts))
            need(sum(counts) == image["height"] * image["width"])
        return dict(mask, size=[image["height"], image["width"]])
    need(isinstance(mask, list) and all(isinstance(part, list) for part in mask))
    parts = [part for part in mask if len(part) >= 6]
    need(parts and all(len(part) % 2 == 0 and all(map(is_number, part)) for part in mask))
    limit = 3 * max(image["height"], image["width"])
    need(all(abs(value) <= limit for part in parts for value in part))
    return parts


def boxes_found(base: Content, seed: int = 1) -> list[dict[str, Any]]:
    """Made-up predictions, in words of the base file: most objects, a little moved."""
    draw = np.random.default_rng(seed)
    class_of = {row["id"]: row["name"] for row in base["categories"]}
    found = []
    for row in base["annotations"]:
        x, y, width, height = row["bbox"]
        moved = [min(x + int(draw.integers(0, 2)), WIDTH - width), y, width, height]
        name = class_of[row["category_id"]]
        found.append(
            dict(image=row["image_id"], name=name, bbox=moved, score=round(draw.random(), 6))
        )
    return found
