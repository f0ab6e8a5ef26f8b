"""How values stand in messages."""

import pytest

from mmrbdc.wording import counted, quoted


@pytest.mark.parametrize(
    ("values", "options", "text"),
    [
        ([], {}, "none"),
        (["a b", "c\n"], {}, r"'a b', 'c\n'"),
        ((3, 1, 2), {}, "3, 1, 2"),
        ({"x": 1, "y": 2}, {}, "'x', 'y'"),
        ("abcdef", {}, "'a', 'b', 'c', 'd', 'e', ... 6 in all"),
        (range(2000), dict(most=2), "0, 1, ... 2,000 in all"),
        (["[3]", 4], dict(by=str), "[3], 4"),
        (iter("ab"), {}, "'a', 'b'"),
    ],
)
def test_some_are_shown_and_all_are_counted(values, options, text):
    assert quoted(values, **options) == text


@pytest.mark.parametrize(
    ("number", "what", "text"),
    [
        (1, "class", "1 class"),
        (0, "class", "0 classes"),
        (2, "box", "2 boxes"),
        (1500, "image", "1,500 images"),
    ],
)
def test_things_are_counted_in_words(number, what, text):
    assert counted(number, what) == text
