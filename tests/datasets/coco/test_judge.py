"""Each kind of fault, by several inputs: named with file, id, field and value, or made uniform."""

import json

import pytest

from mmrbdc.datasets.coco import index
from mmrbdc.datasets.errors import DataError
from tests.datasets.coco.small_coco import changed, small, write
from tests.datasets.coco.verdicts import judged, the_error

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize("masks", [True, False, None])
@pytest.mark.parametrize("seed", range(3))
def test_a_sound_file_has_no_finding(tmp_path, masks, seed):
    """The twin of everything below."""
    verdict = judged(tmp_path, small(seed), masks)
    assert verdict.errors == verdict.remarks == () and verdict.table.sound.all()


ODD_FIELDS = [
    *[("annotations", dict(bbox=v), "'bbox' is {}, should be [x, y, width, height]") for v in (
        None, "5 5 9 9", {}, [], [1, 2, 3], [1, 2, 3, 4, 5], [1, 2, "3", 4], [1, 2, True, 4],
        [1, 2, None, 4], [NAN, 2, 3, 4], [1, 2, INF, 4], [1, 2, -3, 4], [[1, 2], [3, 4]],
    )],
    *[("annotations", dict(area=v), "'area' is {}, should be a finite number") for v in (
        None, "12", True, NAN, INF, -1, -0.5, [12], {},
    )],
    *[("annotations", dict(iscrowd=v), "'iscrowd' is {}, should be 0 or 1") for v in (
        None, "0", "", 2, -1, 0.5, NAN, [], {}, [0],
    )],
    *[("annotations", dict(image_id=v), "'image_id' is {}, should be an integer") for v in (
        None, "10", 10.0, True, [10], {},
    )],
    *[("annotations", dict(category_id=v), "'category_id' is {}, should be an integer") for v in (
        None, "ant", 1.0, True, [1], 2**63,
    )],
    ("annotations", dict(image_id=11), "'image_id' is 11, which is not among 'images'"),
    ("annotations", dict(category_id=0), "'category_id' is 0, which is not among 'categories'"),
    *[("images", {side: v}, f"'{side}' is {{}}, should be a whole number of pixels") for v in (
        None, "60", 0, -60, 60.5, True, NAN, INF, 10**9, [60],
    ) for side in ("width", "height")],
    *[("images", dict(file_name=v), "'file_name' is {}, should be a text") for v in (
        None, "", "  ", 7, ["a.png"], "a\0.png", "\ud800.png", "a\nb.png",
    )],
    *[("images", dict(file_name=v), "with backslashes, which part folders on Windows") for v in (
        "train\\0.png", "C:\\data\\0.png",
    )],
    ("images", dict(file_name="1.png"), "'1.png', the file name of image 10 already"),
    *[("categories", dict(name=v), "'name' is {}, should be a text") for v in (
        None, "", " ", 3, ["ant"], "\udfff", "\t",
    )],
    ("categories", dict(name="bee"), "the name of category 1 already; join the two under one id"),
]  # fmt: skip


@pytest.mark.parametrize(("section", "fields", "words"), ODD_FIELDS)
def test_odd_fields(tmp_path, section, fields, words):
    message = the_error(tmp_path, changed(section, **fields))
    assert words.split("{}")[-1] in message
    ((field, value),) = fields.items()
    if field in ("bbox", "area", "iscrowd"):
        assert f"annotation 1: '{field}' is " in message
    if "{}" in words and isinstance(value, int | str | None):
        assert f"'{field}' is {value!r}" in message


@pytest.mark.parametrize("field", ["bbox", "area", "image_id", "category_id"])
def test_missing_fields_of_annotations(tmp_path, field):
    message = the_error(tmp_path, changed("annotations", 4, remove=[field]))
    assert f"annotation 5: '{field}' is missing, should be" in message


@pytest.mark.parametrize(
    ("section", "field"),
    [("images", "file_name"), ("images", "width"), ("images", "height"), ("categories", "name")],
)
def test_missing_fields_of_others(tmp_path, section, field):
    assert f"'{field}' is missing" in the_error(tmp_path, changed(section, 1, remove=[field]))


@pytest.mark.parametrize("section", ["images", "annotations", "categories"])
@pytest.mark.parametrize("value", ["1", 1.0, True, None, [1], {}, 2**63, -(2**63) - 1, 10**400])
def test_ids_of_another_kind(tmp_path, section, value):
    content = changed(section, 2, id=value)
    content["annotations"] = [
        row
        for row in content["annotations"]
        if section == "annotations" or (row["image_id"], row["category_id"]) != (16, 7)
    ]
    messages = [str(error) for error in judged(tmp_path, content).errors]
    assert f"{section}[2]: 'id' is " in messages[0]
    assert "should be an integer of 64 bits; number them from 1" in messages[0]


@pytest.mark.parametrize("value", [-5, 2**53 + 1, 2**63 - 1])
def test_unusual_ids_that_work_everywhere(tmp_path, value):
    content = changed("annotations", 2, id=value)
    content["images"][0]["id"] = value
    content["annotations"] = [row for row in content["annotations"] if row["image_id"] != 10]
    content["annotations"][0]["image_id"] = value
    assert judged(tmp_path, content).errors == ()


@pytest.mark.parametrize("section", ["images", "annotations", "categories"])
@pytest.mark.parametrize("number", [0, 2])
def test_ids_that_stand_twice(tmp_path, section, number):
    content = small()
    id_ = content[section][number]["id"]
    content[section].append(content[section][number] | {"file_name": "new.png", "name": "new"})
    message = the_error(tmp_path, content)
    assert f"'id' is {id_}, which stands there more than once; give each its own id" in message


@pytest.mark.parametrize("number", [0, 5, 15])
def test_annotation_id_0_says_how_to_renumber(tmp_path, number):
    message = the_error(tmp_path, changed("annotations", number, id=0), masks=False)
    assert "annotation 0: 'id' is 0" in message and "--renumber NEW_FILE" in message


@pytest.mark.parametrize("section", ["images", "annotations", "categories"])
@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "should be a list, got None"),
        ({}, "should be a list, got {}"),
        ("x", "should be a list, got 'x'"),
        (3, "should be a list, got 3"),
        ([], "is an empty list"),
        ([5], "[0]: 5, not an object"),
        ([None, None], "(2 such "),
        ([[]], "[0]: [], not an object"),
    ],
)
def test_sections_of_another_kind(tmp_path, section, value, words):
    message = the_error(tmp_path, small() | {section: value})
    assert words in message and section in message
    content = small()
    del content[section]
    assert f"'{section}' should be a list, got missing" in the_error(tmp_path, content)


@pytest.mark.parametrize("content", [[], {}, None, 3, "text", [small()], [[[]]]])
def test_a_file_of_something_else(tmp_path, content):
    errors = judged(tmp_path, content).errors
    assert errors and all("the file should hold COCO annotations" in str(error) for error in errors)


def test_images_of_a_test_need_no_annotations(tmp_path):
    content = small()
    del content["annotations"]
    assert judged(tmp_path, content, objects=False).errors == ()
    assert judged(tmp_path, content | {"annotations": []}, objects=False).errors == ()
    assert judged(tmp_path, content | {"annotations": None}, objects=False).errors


@pytest.mark.parametrize(
    ("value", "expected"), [("missing", 0), (False, 0), (True, 1), (0.0, 0), (1.0, 1)]
)
def test_iscrowd_is_made_uniform(tmp_path, value, expected):
    """A missing one counts as 0; nothing else is 0 or 1 that does not say so."""
    content = changed("annotations", 4, iscrowd=value)
    if value == "missing":
        del content["annotations"][4]["iscrowd"]
    found = index(write(tmp_path, content)).anns[5]["iscrowd"]
    assert type(found) is int and found == expected


@pytest.mark.parametrize("size", [(60.0, 40.0), (60, 40)])
def test_sizes_are_made_integers(tmp_path, size):
    content = changed("images", width=size[0], height=size[1])
    image = index(write(tmp_path, content), masks=True).imgs[10]
    assert (image["width"], image["height"]) == (60, 40) and type(image["width"]) is int


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ([50, 30, 50, 30], "outside of the image"),
        ([200, 10, 5, 5], "outside of the image"),
        ([-9, 0, 5, 5], "outside of the image"),
        ([0, 0, 1e308, 1e308], "outside of the image"),
        ([1e308, 1e308, 1e308, 1e308], "outside of the image"),
        ([5, 5, 10**30, 3], "outside of the image"),
    ],
)
def test_boxes_outside(tmp_path, box, words):
    assert words in the_error(tmp_path, changed("annotations", bbox=box))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (dict(bbox=[5, 5, 0, 7]), "of zero area, which MMDetection leaves out"),
        (dict(area=0), "of zero area, which MMDetection leaves out"),
        (dict(bbox=[5, 5, 0.4, 7]), "less than a pixel wide or high"),
        (dict(bbox=[-1.1, 5, 20, 7]), "a little over the border"),
        (dict(ignore=1), "which MMDetection leaves out of training"),
    ],
)
def test_what_is_told_only(tmp_path, fields, words):
    verdict = judged(tmp_path, changed("annotations", **fields))
    assert verdict.errors == () and words in str(verdict.remarks[0])
    assert "annotation 1: " in str(verdict.remarks[0])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("/data/0.png", "an absolute path"),
        ("../0.png", "leads out of the folder"),
        ("a/../../0.png", "leads out of the folder"),
        ("a..b/..c.png", None),
    ],
)
def test_paths_of_images_that_are_told(tmp_path, name, words):
    verdict = judged(tmp_path, changed("images", file_name=name))
    assert verdict.errors == () and len(verdict.remarks) == (words is not None)
    assert words is None or words in str(verdict.remarks[0])


def test_spaces_around_a_name_are_told(tmp_path):
    verdict = judged(tmp_path, changed("categories", name=" ant"))
    assert verdict.errors == () and "category 1: 'name' is ' ant'" in str(verdict.remarks[0])


def test_many_of_a_kind_are_one_line_with_their_ids(tmp_path):
    content = small()
    for row in content["annotations"][3:12]:
        row["area"] = None
    message = the_error(tmp_path, content)
    assert "annotation 4: 'area' is None" in message
    assert "(9 such annotations: 4, 5, 6, 7, 8, ... 9 in all)" in message


def test_the_first_error_says_how_many_there_are(tmp_path):
    content = changed("annotations", 1, area=None, bbox=None, iscrowd=9)
    with pytest.raises(DataError, match=r"'bbox' is None.* \(2 more: .*check_data"):
        index(write(tmp_path, content))


def test_a_long_value_is_cut(tmp_path):
    message = the_error(tmp_path, changed("annotations", bbox=["x" * 9000] * 9000))
    assert len(message) < 500


def test_what_is_written_for_people_can_be_printed(tmp_path):
    for value in ("\ud800", "a\0b", "x\ny"):
        message = the_error(tmp_path, changed("images", file_name=value))
        message.encode()
        assert json.dumps(message).count("\\n") == message.count("\\n") <= 1
