"""The pieces of the report's page: its frame and style, sections and tables. All are valid XML."""

import base64
from collections.abc import Sequence

from mmrbdc.analysis.markup import element, escaped

_STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0; background: #f6f8fa; color: #1f2933;
  font: 16px/1.55 system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial,
    sans-serif; }
main { max-width: 1060px; margin: 0 auto; padding: 32px 20px 48px; }
h1 { font-size: 30px; line-height: 1.2; margin: 0 0 10px; letter-spacing: -0.01em; }
h2 { font-size: 20px; margin: 0 0 4px; }
h3 { font-size: 16px; margin: 26px 0 10px; }
.summary { font-size: 18px; max-width: 820px; margin: 0 0 26px; }
section { background: #fff; border: 1px solid #e1e6eb; border-radius: 10px;
  padding: 22px 24px; margin: 0 0 20px; }
.note { color: #5f6b7a; font-size: 14px; margin: 0 0 16px; max-width: 820px; }
.figure { margin: 14px 0 4px; overflow-x: auto; }
.figure svg { display: block; margin: 0 auto; }
.warning { background: #fff4e5; border: 1px solid #e8a33d; border-left-width: 6px;
  border-radius: 8px; padding: 12px 16px; margin: 0 0 14px; overflow-wrap: anywhere; }
figure { margin: 18px 0 0; }
figure img { display: block; width: 100%; height: auto; border-radius: 6px; }
figcaption { color: #5f6b7a; font-size: 14px; margin-top: 4px; }
.scroll { overflow-x: auto; }
.narrow { display: none; }
table { border-collapse: collapse; width: 100%; font-size: 15px;
  font-variant-numeric: tabular-nums; margin: 14px 0 4px; }
th { text-align: left; font-weight: 600; color: #5f6b7a; font-size: 13px;
  border-bottom: 2px solid #d5dbe1; padding: 6px 10px 6px 0; vertical-align: bottom; }
td { border-bottom: 1px solid #e8ecf0; padding: 8px 10px 8px 0; }
th.number, td.number { text-align: right; white-space: nowrap; }
td:first-child { font-weight: 600; }
summary { cursor: pointer; color: #0b66b3; font-size: 15px; margin-top: 10px; }
footer { color: #5f6b7a; font-size: 14px; padding: 0 4px; max-width: 860px; }
@media (max-width: 720px) {
  main { padding: 20px 10px 32px; }
  section { padding: 16px 12px; }
  h1 { font-size: 25px; }
  .summary { font-size: 16px; }
  .wide { display: none; }
  .narrow { display: block; }
  .cards thead { display: none; }
  .cards tr { display: block; border-bottom: 1px solid #d5dbe1; padding: 8px 0; }
  .cards td, .cards td.number { display: flex; justify-content: space-between; gap: 16px;
    border: 0; padding: 2px 0; text-align: right; }
  .cards td::before { content: attr(data-label); color: #5f6b7a; font-weight: 400; }
  .sideways { font-size: 14px; }
  .sideways td, .sideways th { white-space: nowrap; }
}
"""

WIDE = 1010.0
NARROW = 344.0


def page(title: str, summary: str, sections: Sequence[str], footnotes: Sequence[str]) -> str:
    """Return the whole document; nothing in it is fetched from elsewhere."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", escaped(title)),
        element("style", _STYLE),
    )
    main = element(
        "main",
        element("h1", escaped(title)),
        element("p", escaped(summary), class_="summary"),
        *sections,
        element("footer", *(element("p", escaped(footnote)) for footnote in footnotes)),
    )
    return f"<!DOCTYPE html>\n{element('html', head, element('body', main), lang='en')}\n"


def section(heading: str, explanation: str, *content: str) -> str:
    """Return one section of the page."""
    return element(
        "section",
        element("h2", escaped(heading)),
        note(explanation),
        *content,
    )


def subheading(content: str) -> str:
    """Return a heading inside a section."""
    return element("h3", escaped(content))


def figure(wide: str, narrow: str) -> str:
    """Return a drawing in two layouts, of which the page's width picks one."""
    return element("div", wide, class_="figure wide") + element(
        "div", narrow, class_="figure narrow"
    )


def note(content: str) -> str:
    """Return a paragraph of small print."""
    return element("p", escaped(content), class_="note")


def warning(content: str) -> str:
    """Return a paragraph that nobody should miss."""
    return element("p", element("b", "Careful: "), escaped(content), class_="warning")


def picture(png: bytes, caption: str) -> str:
    """Return a picture with its caption; the bytes are in the page."""
    source = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    return element(
        "figure",
        element("img", src=source, alt=caption, loading="lazy"),
        element("figcaption", escaped(caption)),
    )


def details(summary: str, *content: str) -> str:
    """Return content that opens on a click."""
    return element("details", element("summary", escaped(summary)), *content)


def table(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    text_columns: int,
    *,
    cards: bool = False,
) -> str:
    """Return a table.

    Args:
        headings: of the columns.
        rows: cells, as many as headings.
        text_columns: how many of the first columns are words; the others are right-aligned numbers.
        cards: whether rows become cards on a phone; otherwise the table scrolls sideways there.
    """
    classes = ["text" if i < text_columns else "number" for i in range(len(headings))]
    head = [
        element("th", escaped(heading), class_=kind)
        for heading, kind in zip(headings, classes, strict=True)
    ]
    body = [
        element(
            "tr",
            *(
                element("td", escaped(cell), class_=kind, data_label=heading)
                for cell, kind, heading in zip(row, classes, headings, strict=True)
            ),
        )
        for row in rows
    ]
    content = element("thead", element("tr", *head)) + element("tbody", *body)
    return element("div", element("table", content, class_="cards" if cards else "sideways"),
                   class_="scroll")  # fmt: skip
