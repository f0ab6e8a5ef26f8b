"""A comparison as files for other programs: CSV with all numbers of every run, and JSON."""

import csv
import io
from dataclasses import asdict
from typing import Any

from mmrbdc.analysis.compare.findings import Findings


def runs_csv(findings: Findings) -> str:
    """Return one line per run, with the fields of ``results.json``; unknown ones are empty.

    ``chosen`` says whether the run has the learning rate that the tables show.
    """
    shown = {row for group in findings.groups for row in group.rows}
    rows = findings.comparison.rows
    labels = {row: group.label for group in findings.groups for row in group.grid}
    lines = [{"label": labels[row], **row.to_dict(), "chosen": row in shown} for row in rows]
    target = io.StringIO()
    writer = csv.DictWriter(target, fieldnames=list(lines[0]), lineterminator="\n")
    writer.writeheader()
    for line in lines:
        writer.writerow({**line, "epochs": " ".join(f"{epochs:g}" for epochs in line["epochs"])})
    return target.getvalue()


def differences(findings: Findings) -> dict[str, Any]:
    """Return every difference between methods, and the warnings, in plain JSON types.

    All differences are in points: percent, or AP times 100.
    """
    by_seed = [
        {
            **asdict(difference),
            "mean": difference.spread.mean,
            "sd": difference.spread.sd,
            "interval": list(difference.interval),
            "p": difference.p_value,
        }
        for difference in findings.by_seed
    ]
    over_images = []
    for image_difference in findings.over_images:
        content = asdict(image_difference)
        result = content.pop("result")
        points = {key: 100 * result[key] for key in ("difference", "low", "high")}
        over_images.append(content | result | points)
    return dict(
        unit="points: percent, or AP times 100",
        by_seed=by_seed,
        over_images=over_images,
        max_dets=findings.scored.max_dets,
        warnings=list(findings.warnings),
    )
