"""Which library wrote a file, what is in it, and what MMPretrain calls its tensors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from mmrbdc.families import FAMILIES, Architecture, Family, architecture_from_dict
from mmrbdc.families.dialect import BACKBONE, Dialect
from mmrbdc.weights.errors import WeightsError
from mmrbdc.weights.libraries.shapes import Shapes, shapes_of
from mmrbdc.weights.read import Checkpoint

_WRAPPERS = ("backbone", "module", "model")
_PARTS = ("encoder", "net", "base_model")
_SHOWN = 4


@dataclass(frozen=True)
class Recognised:
    """One model of a file, in MMPretrain's names.

    Attributes:
        checkpoint: the file as it was read.
        libraries: whose names the file has; several where they call everything the same.
        prefix: what stood in front of the backbone's names.
        state_dict: ``backbone.*`` and, where the file has it, ``head.*``.
        shapes: what the tensors tell of the architecture.
        left_behind: the file's names of tensors outside of both.
        notes: what a reader should know, one sentence each.
    """

    checkpoint: Checkpoint
    libraries: tuple[str, ...]
    prefix: str
    state_dict: dict[str, Tensor]
    shapes: Shapes
    left_behind: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def library(self) -> str:
        """The library's name, or ``'timm or torchvision'``."""
        return " or ".join(self.libraries)

    @property
    def family(self) -> str:
        """Name of the family."""
        return self.shapes.architecture.family

    @property
    def declared(self) -> Architecture | None:
        """The architecture that a file of this package says it has."""
        return _declared(self.checkpoint)

    @property
    def own_meta(self) -> dict[str, Any]:
        """The meta of a file of this package; empty for any other."""
        return self.checkpoint.meta if "family" in self.checkpoint.meta else {}

    def backbone(self) -> dict[str, Tensor]:
        """The backbone's tensors by the backbone's own names."""
        return {
            name[len(BACKBONE) :]: tensor
            for name, tensor in self.state_dict.items()
            if name.startswith(BACKBONE)
        }

    def head(self) -> tuple[str, ...]:
        """MMPretrain's names of the head's tensors; empty for a file without a head."""
        return tuple(name for name in self.state_dict if not name.startswith(BACKBONE))


@dataclass(frozen=True)
class _Reading:
    """One way to read a file: ``unknown`` is empty when it explains every name."""

    family: Family[Any]
    dialect: Dialect
    prefix: str
    state_dict: dict[str, Tensor]
    unknown: list[str]
    others: list[str]

    def same_as(self, other: "_Reading") -> bool:
        """Whether it comes to the same model: libraries share some names."""
        return self.prefix == other.prefix and self.state_dict.keys() == other.state_dict.keys()

    def explains_more(self, other: "_Reading") -> bool:
        """Whether it finds the same backbone and a head that the other one takes for a stranger."""
        return self.prefix == other.prefix and self.state_dict.keys() > other.state_dict.keys()


def recognise(
    checkpoint: Checkpoint, *, prefix: str | None = None, like: Architecture | None = None
) -> Recognised:
    """Find out by names and shapes what a file is, and translate it.

    Args:
        checkpoint: the file.
        prefix: what stands in front of the backbone's names; None looks for it, which works for any
            combination of :func:`known_segments`.
        like: what the file is wanted for; its grid tells a position table that is not square.

    Raises:
        WeightsError: no known library, several models in it, an unknown prefix, or a tensor in the
            backbone that the library's table does not have. Nothing is guessed.
    """
    declared = _declared(checkpoint)
    like = declared or like
    readings = _readings(checkpoint, prefix)
    complete = [reading for reading in readings if not reading.unknown]
    if not complete:
        raise _not_understood(checkpoint, readings, prefix)
    best = [r for r in complete if not any(other.explains_more(r) for other in complete)]
    first = best[0]
    if any(not reading.same_as(first) for reading in best):
        raise _several_models(checkpoint, best)
    libraries = tuple(dict.fromkeys(name for r in best for name in r.dialect.libraries))
    if declared is not None:
        libraries = ("mmpretrain",)
    family, dialect = first.family, first.dialect
    tensors, added = family.completed(first.state_dict, family.of_its_own(like), libraries)
    shapes = shapes_of(family, tensors, dialect.facts, like, str(checkpoint.path))
    return Recognised(
        checkpoint=checkpoint,
        libraries=libraries,
        prefix=first.prefix,
        state_dict=tensors,
        shapes=shapes,
        left_behind=tuple(first.others),
        notes=(*dialect.reading, *added),
    )


def check_complete(found: Recognised) -> None:
    """Compare every tensor with the layout of the architecture; a head may be missing as a whole.

    Raises:
        WeightsError: a missing or surplus tensor, or another shape.
    """
    layout = found.shapes.architecture.layout()
    expected = [n for n in layout.entries if n.startswith(BACKBONE) or n in found.state_dict]
    problems = [
        *[f"missing: {name}" for name in expected if name not in found.state_dict],
        *[f"surplus: {name}" for name in found.state_dict if name not in layout.entries],
        *[f"shape of {name}: {tuple(found.state_dict[name].shape)}, {found.shapes.label} has "
          f"{layout.shape(name)}" for name in expected
          if name in found.state_dict and found.state_dict[name].shape != layout.shape(name)],
    ]  # fmt: skip
    if problems:
        raise WeightsError(
            f"{found.checkpoint.path} looks like {found.shapes.label} in {found.library}'s names, "
            f"but does not have its tensors (MMPretrain's names): {_shown(problems, '; ')}"
        )


def known_segments() -> tuple[str, ...]:
    """Return what may stand in front of a backbone's names without a question, in any combination:
    what training scripts put there, and what libraries call their models.
    """
    roots = [root for _, dialect in _dialects() for root in dialect.roots]
    names = [root.removesuffix(".") for root in roots if root]
    return tuple(dict.fromkeys((*_WRAPPERS, *names, *_PARTS)))


def _dialects() -> list[tuple[Family[Any], Dialect]]:
    return [(family, dialect) for family in FAMILIES.values() for dialect in family.dialects]


def _declared(checkpoint: Checkpoint) -> Architecture | None:
    written = checkpoint.meta.get("architecture")
    return architecture_from_dict(written) if isinstance(written, dict) else None


def _readings(checkpoint: Checkpoint, prefix: str | None) -> list[_Reading]:
    names = list(checkpoint.state_dict)
    found: dict[tuple[int, str], _Reading] = {}
    known = known_segments()
    for number, (family, dialect) in enumerate(_dialects()):
        for start in dialect.prefixes(names):
            plain = all(segment in known for segment in start.split(".")[:-1])
            if start == prefix or (prefix is None and plain):
                read = dialect.read(checkpoint.state_dict, start)
                found[number, start] = _Reading(family, dialect, start, *read)
    return list(found.values())


def _not_understood(
    checkpoint: Checkpoint, readings: Sequence[_Reading], prefix: str | None
) -> WeightsError:
    names, segments = list(checkpoint.state_dict), ", ".join(known_segments())
    if readings:
        best = min(readings, key=lambda reading: len(reading.unknown))
        return WeightsError(
            f"{checkpoint.path} looks like a {best.family.name} in "
            f"{' or '.join(best.dialect.libraries)}'s names (prefix {best.prefix!r}), but has "
            f"tensors in it that this family does not have: {_shown(best.unknown)}. It is another "
            "architecture, or needs a conversion that is not known here."
        )
    elsewhere = sorted({start for _, dialect in _dialects() for start in dialect.prefixes(names)})
    if elsewhere:
        what = f"not {prefix!r}" if prefix is not None else "which is not known"
        return WeightsError(
            f"{checkpoint.path}: its backbone's names begin with "
            f"{' or '.join(map(repr, elsewhere))}, {what} (known, in any combination: "
            f"{segments}). If that is the model you want, say "
            f"prefix={elsewhere[0]!r} (in a detector's config "
            "model.backbone.init_cfg.prefix, in tools --prefix)."
        )
    families = FAMILIES.values()
    titles = _listed([title for family in families for title in family.titles], "or")
    more = [source for family in families for source in family.sources]
    libraries = _listed(["MMPretrain", "timm", "torchvision", "Hugging Face", *more], "and")
    tried = f"any combination of {segments}" if prefix is None else repr(prefix)
    return WeightsError(
        f"{checkpoint.path} has the names of no {titles} of {libraries}: its first of "
        f"{len(names)} are {_shown(names)}. Prefixes tried: none, {tried}. Give a file of one of "
        "these, or rename its tensors to MMPretrain's names."
    )


def _several_models(checkpoint: Checkpoint, readings: Sequence[_Reading]) -> WeightsError:
    ways = "; ".join(
        f"{' or '.join(r.dialect.libraries)}'s names under {r.prefix!r}" for r in readings
    )
    return WeightsError(
        f"{checkpoint.path} can be read in several ways ({ways}): choose one with prefix=..."
    )


def _listed(names: Sequence[str], joint: str) -> str:
    *most, last = names
    return f"{', '.join(most)} {joint} {last}" if most else last


def _shown(names: Sequence[str], joint: str = ", ") -> str:
    more = f"{joint}and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return joint.join(names[:_SHOWN]) + more
