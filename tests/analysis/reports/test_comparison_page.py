"""The report stands alone, is well formed, and shows every run."""

import json
import re
import xml.etree.ElementTree as ET

import pytest

from mmrbdc.analysis import analyse, collect, report_html, write_report
from tests.analysis.growing_dirs import GROWING, write_growing
from tests.analysis.run_dirs import edit_json, write_demo, write_detector, write_pretraining


def parsed(html):
    doctype, _, document = html.partition("\n")
    assert doctype == "<!DOCTYPE html>"
    return ET.fromstring(document)


def local_names(root):
    return [node.tag.rpartition("}")[2] for node in root.iter()]


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    root = write_demo(tmp_path_factory.mktemp("demo"), seeds=range(3), families=("deit", "resnet"))
    return analyse(collect([root]))


def test_it_fetches_nothing(demo):
    html = report_html(demo)
    assert "http" not in html.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.search(r"\bsrc=|\bhref=|@import|url\((?!#)", html)
    assert not {"script", "link", "img", "iframe", "object"} & set(local_names(parsed(html)))


def test_a_fetched_resource_would_be_found(demo):
    """The twin of the check above."""
    spoilt = report_html(demo).replace("<main>", '<main><img src="https://example.org/a.png"/>')
    with pytest.raises(AssertionError):
        assert "http" not in spoilt.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert re.search(r"\bsrc=", spoilt)


def test_it_shows_every_method_and_section(demo):
    root = parsed(report_html(demo))
    text = " ".join(root.itertext())
    for word in ("RBDC", "scratch", "random", "DeiT", "ResNet", "over 3 seeds", "test split"):
        assert word in text
    headings = [node.text for node in root.iter("h2")]
    assert headings == [
        "Results",
        "The plan",
        "Accuracy over training FLOPs",
        "Detection and instance segmentation",
    ]
    assert "one multiply-add is 2 FLOPs" in text
    figures = 2 * (1 + 1 + 1 + 1)
    assert local_names(root).count("svg") == 2 * figures  # wide and narrow


def test_every_cell_of_the_table_is_there(demo):
    cells = [node.text for node in parsed(report_html(demo)).iter("td")]
    runs = [row for row in demo.comparison.rows if row.top1 is not None]
    assert len(runs) == 12
    for row in runs:
        assert f"{row.top1:.2f}" in cells


def test_clip_paths_are_found_and_not_shared_by_different_plots(demo):
    root = parsed(report_html(demo))
    paths = {}
    for node in root.iter():
        if node.tag.endswith("clipPath"):
            area = ET.tostring(node[0])
            assert paths.setdefault(node.get("id"), area) == area
    used = {node.get("clip-path") for node in root.iter() if node.get("clip-path")}
    assert used == {f"url(#{name})" for name in paths}


def test_names_are_escaped(tmp_path):
    path = write_pretraining(tmp_path / "a", name="a&b <i>", method="<b>new & better</b>")
    root = parsed(report_html(analyse(collect([path]))))
    assert "b" not in local_names(root)
    assert "<b>new & better</b>" in " ".join(root.itertext())


@pytest.mark.parametrize("only", ["one pretraining", "one scratch run", "one detector"])
def test_parts_that_are_missing_leave_no_holes(tmp_path, only):
    if only == "one pretraining":
        write_pretraining(tmp_path / "a", name="a", method="rbdc", points=1)
    elif only == "one scratch run":
        write_pretraining(
            tmp_path / "a", name="a", method="scratch", stages=((1, 8, 1.0, 1e9),), points=1
        )
    else:
        write_detector(tmp_path / "a", name="a")
    root = parsed(report_html(analyse(collect([tmp_path]))))
    headings = [node.text for node in root.iter("h2")]
    assert ("The plan" in headings) == (only != "one detector")
    assert ("Detection and instance segmentation" in headings) == (only == "one detector")
    assert "nan" not in ET.tostring(root, encoding="unicode").lower().replace("nano", "")


def test_write_report_leaves_rows_page_and_figures(demo, tmp_path):
    paths = write_report(demo, tmp_path / "out")
    rows = json.loads(paths["results"].read_text())
    assert [row["method"] for row in rows] == [row.method for row in demo.comparison.rows]
    assert {"method", "family", "train_flops", "top1", "bbox_mAP", "segm_mAP", "wall_s"} <= set(
        rows[0]
    )
    parsed(paths["report"].read_text())
    figures = {path.stem: path for path in (tmp_path / "out" / "figures").iterdir()}
    assert set(figures) == {
        f"{kind}-{family}{name}"
        for family in ("deit", "resnet")
        for kind, name in (
            ("plan", "-micro_2step_digits"), ("budget", ""), ("accuracy", ""), ("ap", "")
        )
    }  # fmt: skip
    for path in figures.values():
        assert ET.fromstring(path.read_text()).tag == "{http://www.w3.org/2000/svg}svg"


def test_it_does_not_show_a_run_twice_that_two_detectors_share(tmp_path):
    source = write_pretraining(tmp_path / "a", name="a", method="rbdc")
    for name in ("x", "y"):
        write_detector(tmp_path / name, name=name, source=source)
    edit_json(tmp_path / "y" / "test.json", lambda t: t.update(bbox_mAP=0.123))
    findings = analyse(collect([tmp_path]))
    assert len(findings.comparison.rows) == 2
    text = " ".join(parsed(report_html(findings)).itertext())
    assert "RBDC, x" in text and "RBDC, y" in text and "12.3" in text


def test_depth_and_image_size_are_drawn_where_they_grow(tmp_path):
    write_growing(tmp_path / "a", name="a", method="autoprog")
    write_growing(tmp_path / "b", name="b", method="progressive", stages=GROWING)
    write_pretraining(tmp_path / "c", name="c", method="scratch", stages=((1, 96, 40.0, 7e12),))
    findings = analyse(collect([tmp_path]))
    root = parsed(report_html(findings))
    headings = [node.text for node in root.iter("h2")]
    assert headings[1:4] == ["The plan", "Depth and image size", "Accuracy over training FLOPs"]
    text = " ".join(root.itertext())
    assert "AutoProg: a" in text and "progressive: b" in text and "search 2: 2 sub-nets" in text
    assert "weight matrix" not in text and "search → 3 blocks, 16 px" in text
    write_report(findings, tmp_path / "out")
    figures = {path.stem for path in (tmp_path / "out" / "figures").iterdir()}
    assert {"progression-autoprog-a", "progression-progressive-b"} <= figures
    assert not {name for name in figures if name.startswith("plan-")}
