"""Numbers as readers see them."""

import pytest

from mmrbdc.analysis.units import family_label, format_epochs, format_flops, format_time


@pytest.mark.parametrize(
    ("flops", "shown"),
    [
        (1.234e15, "1.23 PFLOPs"),
        (16.6e12, "16.6 TFLOPs"),
        (40.5e18, "40.5 EFLOPs"),
        (999.4e12, "999 TFLOPs"),
        (999.6e12, "1.00 PFLOPs"),
        (2e9, "2.00 GFLOPs"),
        (12, "12.0 FLOPs"),
        (0, "0 FLOPs"),
    ],
)
def test_flops(flops, shown):
    assert format_flops(flops) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 s"),
        (42, "42.0 s"),
        (59.4, "59.4 s"),
        (59.98, "1.00 min"),
        (3540, "59.0 min"),
        (3599, "1.00 h"),
        (738, "12.3 min"),
        (11700, "3.25 h"),
        (86400 * 1.5, "36.0 h"),
        (86400 * 3.5, "3.50 d"),
    ],
)
def test_time(seconds, shown):
    assert format_time(seconds) == shown


def test_words():
    assert [format_epochs(e) for e in (1, 12, 7.53)] == ["1 epoch", "12 epochs", "7.5 epochs"]
    assert [family_label(f) for f in ("deit", "resnet", "other")] == ["DeiT", "ResNet", "other"]
