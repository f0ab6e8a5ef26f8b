"""What keeps two rows of a comparison from being comparable, in words for the table."""

from collections.abc import Iterable, Sequence

from mmrbdc.analysis.compare.groups import Group
from mmrbdc.analysis.compare.learning_rates import by_lr, criterion
from mmrbdc.analysis.reading.recipe import SHOWN, shown_setting
from mmrbdc.analysis.reading.rows import Comparison, Row


def unfairness(comparison: Comparison, found: Sequence[Group]) -> list[str]:
    """Say where rows were not treated alike; empty where nothing was found.

    Detectors of one family and class should differ in the weights of their backbone, their seed
    and nothing else: config by config (schedule, batch, data, image size, frozen stages, norms,
    test settings) and in the learning rates that were tried.
    """
    warnings = []
    for own in _alike(found):
        warnings += _settings(comparison, own)
        if len(own) > 1:
            warnings += _grids(own)
    return [
        *_numerics(comparison),
        *warnings,
        *_chosen_by_test(found),
        *_unknown(comparison, found),
    ]


def _numerics(comparison: Comparison) -> list[str]:
    """Name the numerics in which pretrainings of one family differ."""
    warnings = []
    known = [run for run in comparison.pretrainings if run.numerics]
    for family in sorted({run.family for run in known}):
        runs = [run for run in known if run.family == family]
        for name in runs[0].numerics:
            if told := _who_has_which((run.name, run.numerics[name]) for run in runs):
                warnings.append(f"{family} was pretrained with other numerics, {name}: {told}")
    return warnings


def _who_has_which(pairs: Iterable[tuple[str, str]]) -> str:
    """The values, each with who has it, of (name, value) pairs; empty where all have the same."""
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        names = values.setdefault(value, [])
        names += [name] if name not in names else []
    if len(values) < 2:
        return ""
    return "; ".join(f"{value} ({', '.join(names)})" for value, names in values.items())


def _alike(found: Sequence[Group]) -> list[list[Group]]:
    """Gather the groups with a detector that should be alike, by family and detector class."""
    gathered: dict[tuple[str, str], list[Group]] = {}
    for group in found:
        if group.detector_type is not None:
            gathered.setdefault((group.family, group.detector_type), []).append(group)
    return list(gathered.values())


def _settings(comparison: Comparison, found: Sequence[Group]) -> list[str]:
    """Name the config keys in which the runs of the groups differ."""
    rows = [(group.label, row) for group in found for row in group.grid]
    known = [(label, comparison.recipes[row].settings) for label, row in rows
             if row in comparison.recipes and comparison.recipes[row].settings]  # fmt: skip
    keys = sorted({key for _, settings in known for key in settings})
    differing = []
    for key in keys:
        if told := _who_has_which((label, shown_setting(own, key)) for label, own in known):
            differing.append(f"{key}: {told}")
    if not differing:
        return []
    more = [f"and {len(differing) - SHOWN} more"] if len(differing) > SHOWN else []
    return [
        f"{found[0].family} detectors differ in more than the backbone's weights, seed and lr; "
        + ". ".join([*differing[:SHOWN], *more])
    ]


def _grids(found: Sequence[Group]) -> list[str]:
    """Compare the learning rates that the groups were given, and the runs of each rate."""
    grids = {group.label: by_lr(group.grid) for group in found}
    rates = {label: tuple(grid) for label, grid in grids.items()}
    if len(set(rates.values())) > 1:
        told = "; ".join(f"{label} {_listed(own)}" for label, own in rates.items())
        return [f"{found[0].family} detectors were not given the same learning rates: {told}"]
    uneven = [
        f"{label} has {', '.join(f'{len(rows)} at {_rate(lr)}' for lr, rows in grid.items())}"
        for label, grid in grids.items()
        if len({len(rows) for rows in grid.values()}) > 1
    ]
    return [f"not as many runs at each learning rate: {'; '.join(uneven)}"] if uneven else []


def _chosen_by_test(found: Sequence[Group]) -> list[str]:
    labels = [
        group.label
        for group in found
        if len(by_lr(group.grid)) > 1 and criterion(group.grid) == "bbox_mAP"
    ]
    if not labels:
        return []
    return [
        f"the learning rate of {', '.join(labels)} was chosen by the very AP that is reported, "
        "since a run has no val.json; that flatters the larger grid"
    ]


def _unknown(comparison: Comparison, found: Sequence[Group]) -> list[str]:
    unknown = [
        row.detector_dir
        for group in found
        for row in group.grid
        if row in comparison.recipes and not comparison.recipes[row].settings
    ]
    if not unknown or len(unknown) == len(comparison.recipes):
        return []
    return [
        f"{', '.join(map(str, unknown))}: no train_config.json, so how it was trained is not known"
    ]


def rows_without_predictions(comparison: Comparison, found: Sequence[Group]) -> list[Row]:
    """List the shown detectors whose predictions were not kept."""
    return [
        row
        for group in found
        for row in group.rows
        if row.detector is not None and row not in comparison.evaluations
    ]


def _rate(lr: float | None) -> str:
    return "an unknown rate" if lr is None else f"{lr:g}"


def _listed(rates: Iterable[float | None]) -> str:
    return ", ".join(map(_rate, rates))
