"""Tables of detectors: what they scored and cost, their learning rates, how they differ.

Terminal and page show the same cells.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mmrbdc.analysis.compare.findings import Findings
from mmrbdc.analysis.compare.groups import METRICS, Group, Spread, families
from mmrbdc.analysis.compare.learning_rates import by_lr, criterion
from mmrbdc.analysis.compare.over_images import ImageDifference
from mmrbdc.analysis.reading.evaluation import KINDS, SCORES
from mmrbdc.analysis.reports.table import format_spread
from mmrbdc.analysis.units import format_count, shown_flops

_KIND = {"bbox": "box", "segm": "mask"}
_SCORE = {"mAP": "AP", "mAP_50": "AP50", "mAP_75": "AP75",
          "mAP_s": "small", "mAP_m": "medium", "mAP_l": "large"}  # fmt: skip


@dataclass(frozen=True)
class Cells:
    """One table.

    Attributes:
        title: above it.
        headings: of the columns.
        rows: as many cells as headings.
        text_columns: how many of the first columns are words; the others are numbers.
        note: below it.
    """

    title: str
    headings: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    text_columns: int
    note: str | None = None

    def without_family(self) -> "Cells":
        """Return the table without the column that only several families need."""
        column = self.headings.index("family")

        def rest(cells: tuple[str, ...]) -> tuple[str, ...]:
            return cells[:column] + cells[column + 1 :]

        rows = [rest(row) for row in self.rows]
        return Cells(self.title, rest(self.headings), rows, self.text_columns - 1, self.note)


def detection_tables(findings: Findings) -> list[Cells]:
    """Make the tables that have something to show."""
    found = detected(findings.groups)
    tables = [_scores(found, findings)]
    if any(row.finetune_flops or row.params or row.images_per_s for g in found for row in g.rows):
        tables.append(_costs(found))
    tables.append(_grids(found))
    if findings.scored.annotations is not None:
        images = len(findings.scored.annotations.image_ids)
        tables.append(_over_images(findings.over_images, images, findings.resamples))
    several = len(families(findings.groups)) > 1
    return [table if several else table.without_family() for table in tables if table.rows]


def detected(found: Sequence[Group]) -> list[Group]:
    """List the groups that have detectors."""
    return [group for group in found if group.rows[0].detector is not None]


def _scores(found: Sequence[Group], findings: Findings) -> Cells:
    """COCO's six APs, boxes and masks, with mean and deviation over seeds."""
    headings = ("method", "family", "of", *(_SCORE[score] for score in SCORES))
    rows = [
        (group.label, group.family, _KIND[kind],
         *(_without_number(group.spread(f"{kind}_{score}")) for score in SCORES))
        for group in found
        for kind in KINDS
        if group.spread(f"{kind}_mAP")
    ]  # fmt: skip
    scored = findings.scored
    note = f"At most {scored.max_dets} detections an image and class"
    if scored.cut:
        note += f"; of {scored.detections:,} detections {scored.cut:,} are beyond that"
    if splits := {row.detector_split for group in found for row in group.rows} - {None}:
        note += f". Scored on the {' and the '.join(sorted(map(str, splits)))} split"
    return Cells("COCO AP, times 100", headings, rows, text_columns=3, note=f"{note}.")


def _costs(found: Sequence[Group]) -> Cells:
    """FLOPs of both trainings, parameters, speed."""
    headings = ("method", "family", "pretraining", "fine-tuning", "parameters", "of the backbone",
                "images/s")  # fmt: skip
    rows = []
    for group in found:
        trainings = [group.spread(field) for field in ("train_flops", "finetune_flops")]
        counts = [group.spread(field) for field in ("params", "backbone_params")]
        speed = group.spread("images_per_s")
        rows.append(
            (
                group.label,
                group.family,
                *(shown_flops(spent.mean if spent else None) for spent in trainings),
                *(format_count(count.mean) if count else "-" for count in counts),
                format_spread(speed) if speed else "-",
            )
        )
    return Cells("Cost", headings, rows, text_columns=2, note=_cost_note(found))


def _cost_note(found: Sequence[Group]) -> str:
    """Say where and how the speed was measured, and whether it may be compared."""
    places: dict[str, list[str]] = {}
    for group in found:
        for row in group.rows:
            if row.images_per_s is not None:
                place = f"{row.test_device}, {row.test_batch_size} images per batch"
                if row.test_processes != 1:
                    place += f", {row.test_processes} processes"
                labels = places.setdefault(place, [])
                labels += [group.label] if group.label not in labels else []
    note = "pretraining, fine-tuning: FLOPs of everything trained, one multiply-add is 2."
    if len(places) == 1:
        return f"{note} images/s: {next(iter(places))}; compare only what ran on equal hardware."
    if places:
        told = "; ".join(f"{', '.join(labels)} on {place}" for place, labels in places.items())
        return f"{note} images/s were measured differently and CANNOT be compared: {told}."
    return note


def _grids(found: Sequence[Group]) -> Cells:
    """Every learning rate of the groups that were given several, the chosen one marked."""
    headings = ("method", "family", "lr", "val box AP", "box AP", "mask AP", "chosen")
    rows = []
    for group in found:
        grid = by_lr(group.grid)
        if len(grid) < 2:
            continue
        for lr, own in grid.items():
            at = Group(group.method, group.family, group.label, own)
            fields = ("val_bbox_mAP", "bbox_mAP", "segm_mAP")
            rows.append(
                (group.label, group.family, "-" if lr is None else f"{lr:g}",
                 *(format_spread(at.spread(field)) for field in fields),
                 "yes" if lr == group.rows[0].lr else "")
            )  # fmt: skip
    return Cells("Learning rates", headings, rows, text_columns=2, note=_grid_note(found))


def _grid_note(found: Sequence[Group]) -> str:
    """Say by what the rate was chosen."""
    fields = {criterion(group.grid) for group in found if len(by_lr(group.grid)) > 1}
    by_val = fields == {"val_bbox_mAP"}
    by = "box AP at the end of training on the validation split" if by_val else "box AP"
    return f"Chosen is the rate with the highest {by}; all other tables show that rate's runs."


def _over_images(differences: Sequence[ImageDifference], images: int, resamples: int) -> Cells:
    """Differences on resampled images, in points."""
    headings = ("difference", "family", "metric", "mean", "95 % interval", "p", "runs")
    rows = [
        (
            f"{difference.first} − {difference.second}",
            difference.family,
            METRICS[difference.field],
            f"{100 * difference.result.difference:+.2f}",
            f"{100 * difference.result.low:+.2f} to {100 * difference.result.high:+.2f}",
            f"{difference.result.p:.3g}",
            " and ".join(dict.fromkeys(map(str, difference.runs))),
        )
        for difference in differences
    ]
    note = (
        f"Paired bootstrap, {resamples} resamples of the {images} test images: how far other "
        "images would move the difference of these very models. How far another training would is "
        f"the spread over seeds. p: two-sided, at least {2 / (resamples + 1):.2g}. In a small set "
        "rare classes are missing from some resamples, which moves the interval off its centre."
    )
    return Cells("Differences over images, in points", headings, rows, 3, note)


def _without_number(spread: Spread | None) -> str:
    return format_spread(spread).partition(" (")[0]
