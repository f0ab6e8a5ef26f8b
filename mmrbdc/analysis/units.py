"""Numbers for readers: FLOPs, times, percentages."""

from mmrbdc.families import FAMILIES

_PREFIXES = ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))

# What three digits would show as 1000 GFLOPs is 1.00 TFLOPs.
_ROUNDS_UP = 0.9995


def flops_unit(flops: float) -> tuple[float, str]:
    """Return the unit that suits ``flops``: its size in FLOPs and its name, e.g. 'PFLOPs'."""
    for size, prefix in _PREFIXES:
        if flops >= _ROUNDS_UP * size:
            return size, f"{prefix}FLOPs"
    return 1.0, "FLOPs"


def format_flops(flops: float) -> str:
    """Show ``flops`` with three digits, e.g. '1.23 PFLOPs'."""
    size, name = flops_unit(flops)
    return f"{_three_digits(flops / size)} {name}"


def shown_flops(flops: float | None) -> str:
    """Show what a training cost: 'none' for no training, 'unknown' where nobody noted it."""
    if flops is None:
        return "unknown"
    return format_flops(flops) if flops else "none"


def format_count(count: float) -> str:
    """Show a large number with three digits, e.g. '44.4 M' parameters."""
    size, name = flops_unit(count)
    return f"{_three_digits(count / size)} {name.removesuffix('FLOPs')}".rstrip()


def format_time(seconds: float) -> str:
    """Show a wall time in the unit that suits it, e.g. '42.0 s', '12.3 min', '3.25 h'."""
    for size, least, name in ((86400.0, 2.0, "d"), (3600.0, 1.0, "h"), (60.0, 1.0, "min")):
        if seconds >= _ROUNDS_UP * least * size:
            return f"{_three_digits(seconds / size)} {name}"
    return f"{_three_digits(seconds)} s"


def format_epochs(epochs: float) -> str:
    """Show a stage's length, e.g. '12 epochs', '7.5 epochs'."""
    return f"{round(epochs, 1):g} epoch{'' if round(epochs, 1) == 1 else 's'}"


def family_label(family: str) -> str:
    """Return the family's name as readers know it, e.g. 'DeiT'."""
    return FAMILIES[family].titles[0] if family in FAMILIES else family


def _three_digits(value: float) -> str:
    if value == 0:
        return "0"
    decimals = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:.{decimals}f}"
