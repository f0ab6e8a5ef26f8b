"""Text that others chose (names of classes, methods, files), shown as it is.

Rich reads ``[...]`` as markup and ``:word:`` as an emoji; control characters move the cursor, and
those that turn the writing direction turn the rest of the line.
"""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

# Controls, the direction of writing, line and paragraph separators, halves of surrogate pairs, and
# two that XML knows as little.
_UNSEEN = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


def shown(text: str, keep: str = "") -> str:
    r"""Text with what cannot be seen written out, as Python does: ``\n``, ``\x1b``, ``\u202e``.

    Args:
        text: any.
        keep: characters that stay.
    """
    return _UNSEEN.sub(lambda found: found[0] if found[0] in keep else ascii(found[0])[1:-1], text)


def console(width: int | None = None, *, stderr: bool = False) -> "Console":
    """The terminal, where text is text: no markup, no emoji codes, no highlighting.

    Args:
        width: columns; the terminal's own by default.
        stderr: whether to write to standard error.
    """
    from rich.console import Console

    return Console(width=width, markup=False, emoji=False, highlight=False, stderr=stderr)
