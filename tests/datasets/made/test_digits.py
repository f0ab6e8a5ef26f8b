"""The digits: disjoint stratified splits, readable pictures, the same files every time."""

import numpy as np
import pytest
from PIL import Image

from mmrbdc.datasets.errors import DataError
from mmrbdc.datasets.made.digits import (
    CLASSES,
    DRAWN_SIZE,
    IMAGE_SIZE,
    POOLS,
    draw_digit,
    load_table,
    make_digits,
    split_digits,
)


def file_bytes(root):
    """Content of every file below a folder."""
    return {p.relative_to(root): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def files_by_split(root):
    """Indices into scikit-learn's table by split, from the file names."""
    return {s: {int(p.stem) for p in (root / s).rglob("*.png")} for s in POOLS}


def test_splits_cover_the_table_once():
    splits = split_digits()
    assert {name: len(indices) for name, indices in splits.items()} == POOLS
    everything = np.concatenate(list(splits.values()))
    assert sorted(everything) == list(range(1797))


@pytest.mark.parametrize("count", [50, 200, 1000])
def test_every_beginning_of_a_split_is_stratified(count):
    _, classes = load_table()
    found = np.bincount(classes[split_digits()["train"][:count]], minlength=10)
    assert np.abs(found - count * np.bincount(classes) / len(classes)).max() < 2


def test_splits_depend_on_the_seed_alone():
    again, other = split_digits(0), split_digits(1)
    for name, indices in split_digits(0).items():
        assert np.array_equal(indices, again[name])
        assert not np.array_equal(indices, other[name])


def test_files_are_the_split_in_its_class_folders(digits):
    _, classes = load_table()
    found = files_by_split(digits)
    assert {s: len(indices) for s, indices in found.items()} == {
        "train": 40,
        "val": 20,
        "test": 30,
    }
    for split, indices in split_digits().items():
        assert found[split] == set(indices[: len(found[split])].tolist())
        assert sorted(p.name for p in (digits / split).iterdir()) == list(CLASSES)
    for path in digits.rglob("*.png"):
        assert path.parent.name == str(classes[int(path.stem)])
        with Image.open(path) as image:
            assert (image.size, image.mode) == ((IMAGE_SIZE, IMAGE_SIZE), "RGB")


def test_fewer_training_digits_leave_val_and_test_as_they_are(digits, tmp_path):
    make_digits(tmp_path / "small", counts={"train": 10, "val": 20, "test": 30})
    whole, small = files_by_split(digits), files_by_split(tmp_path / "small")
    assert small["val"] == whole["val"]
    assert small["test"] == whole["test"]
    assert small["train"] < whole["train"]


def test_second_making_gives_the_same_bytes(digits, tmp_path):
    make_digits(tmp_path / "again", counts={"train": 40, "val": 20, "test": 30})
    assert file_bytes(tmp_path / "again") == file_bytes(digits)


def test_drawn_digit_is_the_digit():
    digits, _ = load_table()
    margin = (IMAGE_SIZE - DRAWN_SIZE) // 2
    rows = margin + (np.arange(8) + 0.5) * DRAWN_SIZE / 8 - 0.5
    taken = np.ix_(np.rint(rows).astype(int), np.rint(rows).astype(int))

    def likeness(drawn, digit):
        return np.corrcoef(drawn[taken].ravel(), digit.ravel())[0, 1]

    for digit in digits[:20]:
        drawn = draw_digit(digit, DRAWN_SIZE, IMAGE_SIZE)
        assert drawn.min() >= 0 and drawn.max() <= 1
        assert likeness(drawn, digit) > 0.95
        assert likeness(drawn[:, ::-1], digit) < 0.9, "a mirrored digit is another one"


def test_positive_angle_turns_counterclockwise():
    bar = np.zeros((8, 8))
    bar[:, 3:5] = 1.0
    drawn = draw_digit(bar, 24, 32, angle=20)
    upper, lower = drawn[:12], drawn[20:]
    columns = np.arange(32)
    assert (upper.sum(0) * columns).sum() / upper.sum() < 15
    assert (lower.sum(0) * columns).sum() / lower.sum() > 16


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"train": 1001}, "split 'train' of 1001 .* take 1 to 1000"),
        ({"val": 0}, "split 'val' of 0"),
        ({"validation": 5}, "no split 'validation', only train, val, test"),
    ],
)
def test_impossible_counts_are_refused_before_anything_is_written(tmp_path, counts, message):
    with pytest.raises(DataError, match=message):
        make_digits(tmp_path / "digits", counts=counts)
    assert not any(tmp_path.iterdir())
