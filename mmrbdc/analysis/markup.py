"""XML elements as strings, for the page and its drawings."""

from xml.sax.saxutils import escape, quoteattr

from mmrbdc.terminal import shown

_SPACE = "\t\n"


def element(name: str, /, *children: str, **attributes: str | float) -> str:
    """Return one element.

    Args:
        name: of the element.
        children: XML, see :func:`escaped` for text.
        attributes: ``stroke_width=2`` becomes ``stroke-width="2"``, ``class_`` becomes ``class``.
    """
    written = "".join(
        f" {key.rstrip('_').replace('_', '-')}={quoteattr(shown(number(value), keep=_SPACE))}"
        for key, value in attributes.items()
    )
    inside = "".join(children)
    return f"<{name}{written}>{inside}</{name}>" if inside else f"<{name}{written}/>"


def escaped(text: str) -> str:
    """Return text as XML; characters that XML cannot hold are written out."""
    return escape(shown(text, keep=_SPACE))


def number(value: str | float) -> str:
    """Show a number with at most two decimals; a string is returned as it is."""
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return str(value)
