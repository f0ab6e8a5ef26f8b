"""Names that others chose are shown as they are, wherever they are shown."""

import io
import json
import re
import sys
import warnings
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from rich.console import Console
from rich.table import Table

from mmrbdc.analysis.charts import svg
from mmrbdc.analysis.coco import read_annotations, read_predictions, side_by_side
from mmrbdc.analysis.reports import page
from mmrbdc.analysis.reports.study_page import _marked
from mmrbdc.analysis.reports.table import terminal_table
from mmrbdc.cli import run_cli
from mmrbdc.commands import check_data, compare
from mmrbdc.datasets.configs import stated_classes
from mmrbdc.datasets.errors import DataError
from mmrbdc.datasets.reports.inspect_coco import CocoSplit, SplitReport
from mmrbdc.datasets.reports.show_coco import class_lines, counts_table
from mmrbdc.methods import parse_protocol
from mmrbdc.plan import StageModel, make_plan
from mmrbdc.plan.show import plan_table
from mmrbdc.terminal import console, shown
from tests.analysis.coco.coco_files import make_annotations, make_predictions

ROOT = Path(__file__).parent.parent

NASTY = {
    "style": "nut [green]M8",
    "closing": "[/bold] [/]",
    "link": "[link=https://example.org]x[/link]",
    "emoji code": ":warning: [@click=f]",
    "formula": r"5 $ to 9 $ $\frac{1}$ $x_",
    "hidden from legends": "_left out",
    "tags": "<b>&amp;</b> </title><script>",
    "lines": "two\nlines\r\ttabs",
    "escape": "\x1b[31mred\x1b]0;title\x07",
    "right to left": "שלום عربى",
    "turned": "abc\u202egnp.exe",
    "emoji": "🧪👩‍🔬",
    "long": "0123456789" * 30,
    "backslash": "C:\\new\\[table]\\",
    "markdown": "a|b `c` **d**",
    "half a pair": "file\udcff",
    "null": "a\x00b",
}

CONTROLS = ("lines", "escape", "half a pair", "null")
"""No names of categories: the judge of annotations refuses them."""

COMPARED = ("closing", "tags", "lines", "emoji", "long", "half a pair")

names = st.one_of(st.sampled_from(list(NASTY.values())), st.text(st.characters(), max_size=40))
few = settings(max_examples=60, deadline=None)


def printed(*renderables):
    """What our terminal shows, in one line without spaces: a table folds what is too long."""
    screen = console(5000)
    screen.file = io.StringIO()
    for renderable in renderables:
        screen.print(renderable, soft_wrap=True)
    return squeezed(screen.file.getvalue())


def squeezed(text):
    return re.sub(r"\s", "", text)


def expected(name):
    return squeezed(shown(name))


def plan(name):
    config = {
        "protocol": {"method": "rbdc", "family": "deit"},
        "stages": [
            {"members": 2, "width": "1/2", "epochs": 3},
            {"members": 1, "width": 1, "epochs": 2},
        ],
    }
    models = [StageModel(name, width, 10**6, 10**9, 3 * 10**9) for width in (384, 768)]
    feed = dict(samples=1000, batch_size=10, reference_model=models[1])
    made = make_plan(parse_protocol(config), models, **feed)
    return replace(made, rows=tuple(replace(row, name=name) for row in made.rows))


def report(name, counted="train"):
    return SplitReport(
        split=CocoSplit(name=counted, ann_file=Path("a.json"), images=None),
        classes=(name, "other"),
        images=2,
        empty=0,
        boxes=3,
        crowds=0,
        class_images=Counter({name: 1, "other": 2}),
        class_boxes=Counter({name: 1, "other": 2}),
        errors=(),
        remarks=(),
        sizes={},
    )


@few
@given(names)
def test_every_table_of_the_terminal_shows_the_name(name):
    assert printed(counts_table([report(name)])).count(expected(name)) >= 1
    assert expected(name) in printed(counts_table([report("x", counted=name)]))
    assert expected(name) in printed(plan_table(plan(name)))
    for table in (
        terminal_table(name, ["a"], [["b"]], 1),
        terminal_table("t", ["a", "b"], [[name, "1"]], 1),
    ):
        assert expected(name) in printed(table)
    noted = terminal_table("t", ["a"], [["b"]], 1, note=name)  # notes have lines of their own
    assert squeezed(shown(name, keep="\n")) in printed(noted)


@few
@given(names)
def test_the_line_for_the_config_is_python(name):
    (line,) = class_lines([report(name)])
    assert eval(line.removeprefix("classes = ")) == (name, "other")


def test_rich_alone_would_lose_it():
    """The twin: the same names through a console of rich's own."""
    table = Table()
    table.add_column("class")
    table.add_row(NASTY["style"])
    screen = Console(width=200, file=io.StringIO())
    screen.print(table)
    assert "[green]" not in screen.file.getvalue()
    assert expected(NASTY["style"]) in printed(table)


@few
@given(names)
def test_page_and_drawings_are_valid_xml_with_the_name(name):
    html = page.page(
        name, name, [page.section(name, name, page.table([name], [[name]], 1))], [name]
    )
    drawing = svg.drawing(10, 10, name, [svg.text(0, 0, name)])
    html.encode()
    for document in (html.partition("\n")[2], drawing):
        texts = [*ET.fromstring(document).itertext()]
        kept = squeezed(shown(name, keep="\t\n"))
        assert not kept or sum(kept == squeezed(text) for text in texts) >= 2


@few
@given(names)
def test_markdown_shows_the_name(name):
    line = _marked(name)
    assert line.splitlines() in ([line], [])
    assert re.sub(r"\\([\\`*\[\]<>|$&])", r"\1", line) == shown(name)


@few
@given(names)
def test_an_error_names_it_in_letters_that_can_be_seen(name):
    def main():
        raise ValueError(f"no class {name}")

    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(sys, "stderr", io.StringIO())
        try:
            run_cli(main)
        finally:
            said = sys.stderr.getvalue()
    assert said == f"error: no class {shown(name, keep=chr(9) + chr(10))}\n"


@given(st.text(st.characters()))
def test_what_is_shown_has_no_controls_and_keeps_the_rest(text):
    line = shown(text)
    assert len(line.splitlines()) <= 1 and "\x1b" not in line
    line.encode()
    seen = [c for c in text if c.isprintable() and c != "\\"]
    assert [c for c in line if c in seen] or not seen
    assert shown(line) == line


def dataset(folder, name):
    """Annotations whose first category has the name, and predictions of two methods."""
    data = make_annotations(images=5, objects=12)
    data["categories"][0]["name"] = name
    for image in data["images"]:
        Image.new("RGB", (image["width"], image["height"])).save(folder / image["file_name"])
    (folder / "annotations.json").write_text(json.dumps(data))
    for seed, file in enumerate("ab"):
        found = make_predictions(data, seed=seed)
        (folder / f"{file}.json").write_text(json.dumps(found))
    return folder / "annotations.json"


def category_of(kind):
    return "nut" if kind in CONTROLS else NASTY[kind]


@pytest.mark.parametrize("kind", COMPARED)
def test_compare_and_its_report_show_the_methods_name(kind, tmp_path, capsys):
    name = NASTY[kind]
    file = dataset(tmp_path, category_of(kind))
    arguments = ["--annotations", file, "--resamples", "5", "--out", tmp_path / "out"]
    pairs = [f"{name}={tmp_path / 'a.json'}", f"plain={tmp_path / 'b.json'}"]
    arguments += ["--predictions", *pairs, "--images", tmp_path]
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        compare.main([str(argument) for argument in arguments])
    output = capsys.readouterr().out
    assert len(name) > 20 or shown(name).split(" ")[0] in output
    html = (tmp_path / "out" / "report.html").read_text()
    texts = "".join(ET.fromstring(html.partition("\n")[2]).itertext())
    assert squeezed(shown(name, keep="\t\n")) in squeezed(texts)
    csv = (tmp_path / "out" / "comparison.csv").read_text()
    assert name.encode(errors="backslashreplace").decode().split("\n")[0] in csv


@pytest.mark.parametrize("kind", CONTROLS)
def test_a_category_that_cannot_be_printed_is_refused_in_letters(kind, tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        check_data.main([str(dataset(tmp_path, NASTY[kind]))])
    told = capsys.readouterr().out
    assert end.value.code == 1 and "can be printed" in told
    assert ascii(NASTY[kind])[1:-1] in told


@pytest.mark.parametrize("kind", [kind for kind in NASTY if kind not in CONTROLS])
def test_the_check_shows_the_classes_name(kind, tmp_path, capsys):
    file = dataset(tmp_path, NASTY[kind])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "500")
        try:
            check_data.main([str(file), "--images", str(tmp_path)])
        except SystemExit as end:
            assert end.code == 1  # the made-up boxes have errors of their own
    assert expected(NASTY[kind]) in squeezed(capsys.readouterr().out)


@pytest.mark.parametrize("kind", NASTY)
def test_pictures_are_drawn_with_any_name(kind, tmp_path):
    file = dataset(tmp_path, category_of(kind))
    annotations = read_annotations(file)
    found = {NASTY[kind]: read_predictions(tmp_path / "a.json", annotations, "bbox")}
    image_id = json.loads(file.read_text())["annotations"][0]["image_id"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert side_by_side(tmp_path, annotations, found, image_id).startswith(b"\x89PNG")


def test_no_other_console_is_made():
    """All that the project prints with rich goes through one place."""
    folders = (ROOT / "mmrbdc", ROOT / "tools")
    makers = [
        path.name
        for folder in folders
        for path in folder.rglob("*.py")
        if re.search(r"\bConsole\(|rich import print", path.read_text())
    ]
    assert makers == ["terminal.py"]


@pytest.mark.parametrize("classes", ["cell", "red blood cell", "a,b"])
def test_a_text_where_classes_are_meant_is_refused_with_how_one_is_written(classes):
    with pytest.raises(DataError) as error:
        stated_classes(dict(metainfo=dict(classes=classes)))
    assert f"classes = ({classes!r},)" in str(error.value)


def test_a_file_of_names_is_read_as_mmengine_reads_it(tmp_path):
    (tmp_path / "names.txt").write_text("ant\nred bee\n")
    metainfo = dict(classes=str(tmp_path / "names.txt"))
    assert stated_classes(dict(metainfo=metainfo)) == ("ant", "red bee")
    assert stated_classes(dict(metainfo=dict(classes=("ant",)))) == ("ant",)
    assert stated_classes(dict()) is None
    with pytest.raises(DataError, match="tuple of names"):
        stated_classes(dict(metainfo=dict(classes=("ant", 3))))
