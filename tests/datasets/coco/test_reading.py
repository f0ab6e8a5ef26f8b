"""The one JSON reader: every encoding that is certain, one line for every other."""

import codecs
import gzip
import hashlib
import json
import sys

import pytest

from mmrbdc.analysis import AnalysisError
from mmrbdc.analysis.coco import read_annotations, read_predictions
from mmrbdc.datasets.coco import judge, read_coco, read_json
from mmrbdc.datasets.errors import DataError
from tests.datasets.coco.small_coco import small, write

NAMES = ("Käfer", "Straße 5", "犬", "🐝")


def error_of(path):
    with pytest.raises(DataError) as raised:
        read_json(path, "something")
    message = str(raised.value)
    assert str(path) in message and "\n" not in message
    return message


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8", b""),
        ("utf-8-sig", b""),
        ("utf-16-le", codecs.BOM_UTF16_LE),
        ("utf-16-be", codecs.BOM_UTF16_BE),
        ("utf-16-le", b""),
        ("utf-32-le", codecs.BOM_UTF32_LE),
        ("utf-32-be", codecs.BOM_UTF32_BE),
    ],
)
def test_certain_encodings_are_read(tmp_path, encoding, mark):
    path = tmp_path / "a.json"
    path.write_bytes(mark + json.dumps(NAMES, ensure_ascii=False).encode(encoding))
    found, sha256 = read_json(path, "names")
    assert tuple(found) == NAMES
    assert sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("encoding", "text", "words"),
    [
        ("cp1252", '[\n"Käfer"]', ("line 2", "0xe4", "Windows-1252 ('[ \"Käfer\"]')")),
        ("cp1250", '{"name": "žába"}', ("not in UTF-8", "Windows-1252")),
        ("cp932", '{"name": "犬小屋"}', ("not in UTF-8", 'Shift-JIS (\'{"name": "犬小屋"}\')')),
        ("gb18030", '["蝴蝶"]', ("not in UTF-8", "save it as UTF-8")),
    ],
)
def test_code_pages_are_named_and_not_guessed(tmp_path, encoding, text, words):
    path = tmp_path / "a.json"
    path.write_bytes(text.encode(encoding))
    message = error_of(path)
    assert all(word in message for word in words), message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it is empty"),
        (codecs.BOM_UTF8 + b"\n", "it is empty"),
        (b'{"images": [1, 2', "breaks off"),
        (b'{"images": [1, 2]} {}', "Extra data"),
        (b"{'images': []}", "property name enclosed in double quotes"),
        (gzip.compress(b"{}", mtime=0), "a gzip archive; unpack it"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
        (b"<!DOCTYPE html>", "a web page"),
        (b"\x89PNG\r\n\x1a\n", "is not text"),
        (codecs.BOM_UTF16_LE + b"[\x00\x00\xd8]\x00", "begins as UTF-16"),
        (b'{"a": 1, "b": {"id": 7, "x": 1, "x": 1}}', "'x' stands twice in one object (of id 7)"),
        (b'{"annotations": [], "images": [], "annotations": [1]}', "'annotations' stands twice"),
        (b"[" * 100_000 + b"]" * 100_000, "nested deeper"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested deeper"),
        (b"[" + b"9" * (sys.get_int_max_str_digits() + 1) + b"]", "a number is too long"),
    ],
)
def test_what_is_no_json_is_one_line(tmp_path, content, words):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    assert words in error_of(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"images": [1, 2,]}', "A comma is left over"),
        ('{"images": {"a": 1,}}', "A comma is left over"),
        ('{"images": [{"a": 1},\n]}', "A comma is left over"),
        ('{"images": [], // of all\n "x": 1}', "no comments"),
        ("# made by us\n{}", "no comments"),
        ('{"id": 1}\n{"id": 2}\n', "it has another document"),
        ("[][]", "it has another document"),
        ("[1], 2", "it has ', 2'"),
        ("{'images': [1]}", "Python's print of a dict"),
        ('{"a": None}', "Python's print of a dict"),
        ("id,x,y\n1,2,3\n", "none of JSON's values"),
        ('{"a": [1, 2]}\0\0\0', "breaks off"),
        ('{"a": [1, ', "breaks off"),
        ('{"a": "b', "a quote is missing or the file breaks off"),
        ('{"a": 1 "b": 2}', "Mend that place"),
    ],
)
def test_what_mostly_makes_such_a_file_is_said(tmp_path, content, words):
    """Only a file that ends too early is said to break off."""
    path = tmp_path / "a.json"
    path.write_text(content)
    message = error_of(path)
    assert "is not JSON (" in message and words in message
    assert ("breaks off" in message) == ("breaks off" in words)


def test_what_is_no_file(tmp_path):
    assert "is missing; it should hold something" in error_of(tmp_path / "gone.json")
    assert "cannot be read: Is a directory" in error_of(tmp_path)


@pytest.mark.parametrize("name", ["a\0b", "x" * 300])
def test_names_that_no_file_can_have(name):
    with pytest.raises(DataError, match="cannot be read"):
        read_coco(name)


def test_numbers_that_are_none_reach_the_judge(tmp_path):
    """json of Python writes NaN; the judge says where it is."""
    content = small()
    content["annotations"][2]["area"] = float("nan")
    (error,) = judge(read_coco(write(tmp_path, content))).errors
    assert "annotation 3: 'area' is nan" in str(error)


@pytest.mark.parametrize("read", [read_annotations, lambda path: read_predictions(path, None)])
def test_compare_reads_the_same_way(tmp_path, read):
    path = tmp_path / "a.json"
    path.write_bytes(b'{"id": 1, "id": 1}')
    with pytest.raises(AnalysisError, match="'id' stands twice in one object"):
        read(path)
    path.write_text(json.dumps(small()), encoding="utf-16")
    if read is read_annotations:
        assert len(read(path).image_ids) == 6


def test_polygons_are_kept_apart_and_come_back(tmp_path):
    """Packed while reading: what comes out is what the file has."""
    content = small()
    file = read_coco(write(tmp_path, content))
    for row, original in zip(file.content["annotations"], content["annotations"], strict=True):
        if isinstance(original["segmentation"], list):
            assert type(row["segmentation"]) is tuple
            found = file.polygons.unpack(row["segmentation"])
            assert [part.tolist() for part in found] == original["segmentation"]
