"""``--cfg-options KEY=VALUE``: held as they were typed until the config says what is meant.

Where the config holds text, the value is that text, character for character: a path may have
spaces, commas and brackets. Elsewhere numbers, ``true``, ``false`` and ``None`` are read as such,
``[a, b]`` and ``(a, b)`` as lists and tuples, and ``a,b`` as a list where the config holds one, or
where all parts are numbers. Text in the place of a number is refused. ``KEY:=VALUE`` reads so
even where the config holds text, and takes text where it holds a number.
"""

import argparse
import ast
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_OPENING, _CLOSING = "([{", ")]}"
_DEEPEST = 20
_CONSTANTS = {"true": True, "false": False}
_UNCLEAR = ("yes", "no", "on", "off")


@dataclass(frozen=True)
class Typed:
    """What stood behind ``KEY=`` (or, ``literal``, behind ``KEY:=``) on a command line."""

    text: str
    literal: bool = False

    def value(self, key: str, current: object) -> Any:
        """What was meant.

        Args:
            key: the dotted key, for errors.
            current: what the config holds there, ``None`` if nothing.

        Raises:
            ValueError: brackets or quotes that do not match; a dict; a word for a switch or for a
                number.
        """
        if isinstance(current, str) and not self.literal:
            return self.text
        if isinstance(current, bool) and self.text.strip().lower() in _UNCLEAR:
            raise ValueError(
                f"--cfg-options {key}: the config holds {current} there, got {self.text!r}; "
                "write true or false"
            )
        try:
            value = _read(self.text, split=isinstance(current, list | tuple))
        except _Dict:
            several = isinstance(current, list) and any(isinstance(part, dict) for part in current)
            how = f"a dict is set part by part, with dots: {key}{'.0' * several}.PART=VALUE"
            if not several and self.text.strip()[:1] in "[(":
                how = "a new list of dicts is written in a config file"
            raise ValueError(f"--cfg-options {key}: {how}") from None
        except ValueError as error:
            raise ValueError(f"--cfg-options {key}: {error}") from None
        if not self.literal and _is_of_numbers(current) and self._is_a_word(value):
            raise ValueError(
                f"--cfg-options {key}: the config holds {current!r} there, got {self.text!r}, "
                f"which is text; if text is meant: {shlex.quote(f'{key}:={self.text}')}"
            )
        return value

    def _is_a_word(self, value: Any) -> bool:
        """Whether text was read that nobody put in quotes, alone or in a list."""
        if isinstance(value, list | tuple):
            return any(isinstance(item, str) for item in value)
        bare = self.text.strip()
        is_share = re.fullmatch(r"\d+\s*/\s*\d+", bare)  # a width of 1/2
        return isinstance(value, str) and _quoted(bare) is None and not is_share


def _is_of_numbers(current: object) -> bool:
    """Whether the config holds a number, a switch, or a list of them."""
    if isinstance(current, list | tuple):
        return bool(current) and all(isinstance(item, int | float) for item in current)
    return isinstance(current, int | float)


class _Dict(ValueError):
    """A dict was typed."""


class ConfigOptions(argparse.Action):
    """Collects ``KEY=VALUE`` as a dict of dotted keys to :class:`Typed`; may be given again."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Add what one occurrence of the option says."""
        options = dict(getattr(namespace, self.dest, None) or {})
        for word in [values] if isinstance(values, str) else values or []:
            key, equals, text = word.partition("=")
            literal = key.endswith(":")
            key = key.removesuffix(":").strip()
            if not equals or not key:
                parser.error(f"argument {option_string}: KEY=VALUE is expected, got {word!r}")
            options[key] = Typed(text, literal)
        setattr(namespace, self.dest, options)


def _read(text: str, *, split: bool = False, depth: int = 0) -> Any:
    """A value without a known type; ``split`` makes a list of text with commas."""
    bare = text.strip()
    if re.match(r"dict\s*\(|\{", bare):
        raise _Dict
    if depth > _DEEPEST:
        raise ValueError(f"more than {_DEEPEST} brackets inside each other")
    quoted = _quoted(bare)
    if quoted is not None:
        return quoted
    if _is_bracketed(bare):
        values = [_read(part, depth=depth + 1) for part in _parts(bare[1:-1])]
        return tuple(values) if bare[0] == "(" else values
    if "," in bare:
        if split:
            return [_read(part, depth=depth + 1) for part in _parts(bare)]
        values = [_scalar(part.strip()) for part in bare.split(",")]
        return text if any(isinstance(value, str) for value in values) else values
    value = _scalar(bare)
    return (bare if depth else text) if isinstance(value, str) else value


def _quoted(bare: str) -> str | None:
    """What stands in quotes; ``None`` where the quotes are part of something longer."""
    quote = bare[:1]
    if len(bare) < 2 or quote not in ("'", '"') or bare[-1] != quote:
        return None
    if quote not in bare[1:-1]:
        return bare[1:-1]
    try:
        value = ast.literal_eval(bare)
    except (SyntaxError, ValueError):
        return None
    return value if isinstance(value, str) else None


def _is_bracketed(bare: str) -> bool:
    """Whether the first character is a bracket that the last one closes."""
    if bare[:1] + bare[-1:] not in ("[]", "()"):
        return False
    depth = 0
    for position, (char, quoted) in enumerate(zip(bare, _in_quotes(bare)[0], strict=True)):
        depth += 0 if quoted else (char in _OPENING) - (char in _CLOSING)
        if depth == 0:
            return position == len(bare) - 1
    return True  # one is missing, which _parts says


def _in_quotes(text: str) -> tuple[list[bool], bool]:
    """For each character whether it is quoted, and whether the last quotes stay open.

    Quotes open where a value can begin: an apostrophe inside a word is none.
    """
    flags, quote, before = [], "", ""
    for char in text:
        closes = char == quote
        if not quote and char in "'\"" and before in ("", ",", *_OPENING):
            quote = char
        flags.append(bool(quote))
        quote = "" if closes else quote
        before = before if char.isspace() else char
    return flags, bool(quote)


def _scalar(bare: str) -> Any:
    """A number, a switch or nothing; anything else stays text."""
    if bare.lower() in _CONSTANTS:
        return _CONSTANTS[bare.lower()]
    if bare == "None":
        return None
    if "_" not in bare:  # Python reads 2024_11 as a number
        for kind in (int, float):
            try:
                return kind(bare)
            except ValueError:
                continue
    return bare


def _parts(text: str) -> list[str]:
    """What stands between the commas that are in no quotes and no inner brackets."""
    parts, begun = [], ""
    opened: list[str] = []
    flags, unclosed = _in_quotes(text)
    for char, quoted in zip(text, flags, strict=True):
        if not quoted and char in _OPENING:
            opened.append(_CLOSING[_OPENING.index(char)])
        elif not quoted and char in _CLOSING and (not opened or opened.pop() != char):
            raise ValueError(f"brackets do not match in {text!r}")
        if char == "," and not quoted and not opened:
            parts.append(begun)
            begun = ""
        else:
            begun += char
    if opened or unclosed:
        raise ValueError(f"{'quotes' if unclosed else 'brackets'} do not match in {text!r}")
    return [*parts, begun] if begun.strip() else parts
