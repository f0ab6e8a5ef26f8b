"""Two-way tables of names: what one library calls a tensor, and what another one does."""

import re
from collections.abc import Iterable, Sequence

_NUMBER = re.compile(r"\{(\w+?)(\+\d+)?\}")
_TENSORS = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


class NameTable:
    """Translates names both ways by pairs of templates.

    A template is a name with numbers in braces: ``blocks.{i}.norm1`` stands for every block, and
    ``layer{s+1}`` for the layer whose number is one more than ``s``. Where a name fits several
    templates the first one counts, so an older spelling stands behind the one to be written.

    Args:
        modules: pairs of module names (theirs, ours); they cover the tensors of a linear map, a
            convolution or a norm (``weight``, ``bias``, BatchNorm's statistics).
        tensors: pairs of names of single tensors.
    """

    def __init__(
        self, modules: Iterable[tuple[str, str]], tensors: Iterable[tuple[str, str]] = ()
    ) -> None:
        pairs = [(f"{a}.{t}", f"{b}.{t}") for a, b in modules for t in _TENSORS]
        pairs += tensors
        self._ours = [(_pattern(theirs), theirs, ours) for theirs, ours in pairs]
        self._theirs = [(_pattern(ours), ours, theirs) for theirs, ours in pairs]

    def ours(self, name: str) -> str | None:
        """Return our name of what they call ``name``; None when the table does not know it."""
        return _translated(name, self._ours)

    def theirs(self, name: str) -> str | None:
        """Return their name of what we call ``name``; None when the table does not know it."""
        return _translated(name, self._theirs)


def same(*names: str) -> list[tuple[str, str]]:
    """Return the pairs of names that two libraries share."""
    return [(name, name) for name in names]


def _pattern(template: str) -> re.Pattern[str]:
    fixed = [re.escape(text) for text in _NUMBER.split(template)[::3]]
    numbers = [f"(?P<{match[1]}>\\d+)" for match in _NUMBER.finditer(template)]
    return re.compile("".join(a + b for a, b in zip(fixed, [*numbers, ""], strict=True)))


def _translated(name: str, table: Sequence[tuple[re.Pattern[str], str, str]]) -> str | None:
    for pattern, source, target in table:
        if match := pattern.fullmatch(name):
            shifts = {found[1]: int(found[2] or 0) for found in _NUMBER.finditer(source)}
            numbers = {key: int(text) - shifts[key] for key, text in match.groupdict().items()}
            if min(numbers.values(), default=0) >= 0:
                return _filled(target, numbers)
    return None


def _filled(template: str, numbers: dict[str, int]) -> str:
    return _NUMBER.sub(lambda match: str(numbers[match[1]] + int(match[2] or 0)), template)
