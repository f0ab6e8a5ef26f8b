"""Numbers for readers: FLOPs, times, percentages."""

_PREFIXES = ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))
_METHOD_LABELS = {"rbdc": "RBDC"}


def flops_unit(flops: float) -> tuple[float, str]:
    """Return the unit that suits ``flops``: its size in FLOPs and its name, e.g. 'PFLOPs'."""
    for size, prefix in _PREFIXES:
        # 999.5 and more would be shown as 1e+03 of this unit's smaller neighbour.
        if flops >= 0.9995 * size:
            return size, f"{prefix}FLOPs"
    return 1.0, "FLOPs"


def format_flops(flops: float) -> str:
    """Show ``flops`` with three digits, e.g. '1.23 PFLOPs'."""
    size, name = flops_unit(flops)
    return f"{_three_digits(flops / size)} {name}"


def format_time(seconds: float) -> str:
    """Show a wall time in the unit that suits it, e.g. '42.0 s', '12.3 min', '3.25 h'."""
    for size, name in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= (2 * size if name == "d" else size):
            return f"{_three_digits(seconds / size)} {name}"
    return f"{_three_digits(seconds)} s"


def format_epochs(epochs: float) -> str:
    """Show a stage's length, e.g. '12 epochs', '7.5 epochs'."""
    return f"{round(epochs, 1):g} epoch{'' if round(epochs, 1) == 1 else 's'}"


def method_label(method: str) -> str:
    """Return the method's name as readers know it."""
    return _METHOD_LABELS.get(method, method)


def _three_digits(value: float) -> str:
    if value == 0:
        return "0"
    decimals = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:.{decimals}f}"
