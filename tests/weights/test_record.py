import pytest
import torch

from mmrbdc.weights import DataRecord, Preprocessing, WeightsError, publish, read_checkpoint
from mmrbdc.weights.record import common_record

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
PIXELS = Preprocessing(MEAN, STD, "rgb", (224, 224), 256, "bicubic")
RECORD = DataRecord(PIXELS, ("tench", "English springer", "Füllhorn, leer"))


def test_there_and_back_through_files(tmp_path):
    paths = publish(tmp_path / "net", {"w": torch.ones(1)}, RECORD.to_meta())
    for suffix in ("pth", "safetensors"):
        assert DataRecord.from_meta(read_checkpoint(paths[suffix]).meta, "x") == RECORD


@pytest.mark.parametrize(
    "meta, classes",
    [
        ({"dataset_meta": {"classes": ("a", "b"), "palette": [1]}}, ("a", "b")),
        ({"CLASSES": ["a", "b"]}, ("a", "b")),
        ({"dataset_meta": {"classes": None}}, None),
        ({"dataset_meta": {}, "epoch": 3}, None),
        ({"dataset_meta": None}, None),
        ({"CLASSES": "ab"}, None),
        ({}, None),
    ],
)
def test_class_names_of_files_that_mmengine_wrote(meta, classes):
    assert DataRecord.from_meta(meta, "a.pth") == DataRecord(None, classes)


@pytest.mark.parametrize(
    "written",
    [
        {"mean": [1.0, 2.0], "std": [1.0, 2.0], "channels": "rgb"},
        {"mean": MEAN, "std": [1.0, 0.0, 1.0], "channels": "rgb"},
        {"mean": MEAN, "std": STD, "channels": "hsv"},
        {"mean": MEAN, "std": STD},
        {"mean": [float("nan")] * 3, "std": STD, "channels": "bgr"},
        {"mean": "abc", "std": STD, "channels": "rgb"},
        {"mean": MEAN, "std": STD, "channels": "rgb", "image_size": [224]},
        ["mean", "std"],
    ],
)
def test_a_record_that_is_none_names_its_file(written):
    with pytest.raises(WeightsError, match=r"a\.pth: its record 'preprocessing' cannot be read"):
        DataRecord.from_meta({"family": "deit", "preprocessing": written}, "a.pth")


@pytest.mark.parametrize("entry", ["imagenet", {"size": 224}, {"mean": 0.5, "std": 0.5}, 3])
def test_another_programs_entry_of_that_name_is_not_ours(entry):
    assert DataRecord.from_meta({"preprocessing": entry}, "theirs.pth") == DataRecord()


@pytest.mark.parametrize(
    "other, same",
    [
        (Preprocessing((123.68, 116.28, 103.53), STD, "rgb"), True),  # rounded
        (Preprocessing(MEAN, STD, "rgb", (96, 96)), True),
        (Preprocessing(MEAN[::-1], STD[::-1], "rgb"), False),
        (Preprocessing(MEAN, STD, "bgr"), False),
        (PIXELS.swapped(), False),
        (Preprocessing(MEAN, (57.375, 57.12, 58.395), "rgb"), False),
        (Preprocessing(tuple(m / 255 for m in MEAN), tuple(s / 255 for s in STD), "rgb"), False),
        (Preprocessing((127.5,), (50.0,), "grey"), False),
    ],
)
def test_the_same_numbers(other, same):
    assert PIXELS.same_numbers(other) == other.same_numbers(PIXELS) == same
    found = RECORD.conflicts(DataRecord(other, RECORD.classes))
    assert bool(found) != same
    assert same or (PIXELS.label in found[0] and other.label in found[0])


def test_what_is_not_known_conflicts_with_nothing():
    assert RECORD.conflicts(DataRecord()) == DataRecord().conflicts(RECORD) == []
    other = DataRecord(None, ("tench", "Füllhorn, leer", "English springer"))
    assert len(RECORD.conflicts(other)) == 1


def test_in_common():
    assert common_record([RECORD, RECORD]) == RECORD
    assert common_record([RECORD, DataRecord(PIXELS)]) == DataRecord(PIXELS)
    assert common_record([DataRecord(), RECORD]) == DataRecord()
    swapped = DataRecord(PIXELS.swapped(), RECORD.classes)
    assert common_record([RECORD, swapped]) == DataRecord(None, RECORD.classes)
