"""The files of a report: the page, its pictures, the tables."""

import csv
import io
import json

from mmrbdc.analysis import (
    analyse,
    collect,
    differing_images,
    write_report,
)


def test_all_files_of_a_report(detectors, tmp_path):
    findings = analyse(collect([detectors]), resamples=20)
    pictures = differing_images(findings)
    assert 1 <= len(pictures) <= 3 and all(p.png.startswith(b"\x89PNG") for p in pictures)
    paths = write_report(findings, tmp_path / "out", pictures)
    html = paths["report"].read_text()
    assert html.count("<img") == html.count('src="data:image/png;base64,') == len(pictures)
    runs = list(csv.DictReader(io.StringIO(paths["comparison"].read_text())))
    assert len(runs) == 8 and [run["chosen"] for run in runs].count("True") == 4
    results = json.loads(paths["results"].read_text())
    assert [float(run["bbox_mAP"]) for run in runs] == [row["bbox_mAP"] for row in results]
    compared = json.loads(paths["differences"].read_text())
    (boxes, _) = compared["over_images"]
    assert boxes["low"] <= boxes["difference"] <= boxes["high"] and boxes["resamples"] == 20
