"""What every family tells the rest of the program about itself."""

import copy
import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar, TypeVar

from mmrbdc.growth import Layout

Self = TypeVar("Self", bound="Architecture")


class FamilyError(ValueError):
    """A config or a set of parents that a family cannot handle; the message says which and why."""


@dataclass(frozen=True)
class Architecture(ABC):
    """One architecture of a family at one width: everything its tensors' shapes depend on.

    A family is a frozen dataclass with plain fields (int, bool, str, tuples of them).
    """

    family: ClassVar[str]
    """Name of the family, as in configs and in the meta of files."""
    backbone_types: ClassVar[tuple[str, ...]]
    """MMPretrain's backbone classes that belong to the family, without scope."""
    width_fields: ClassVar[tuple[str, ...]]
    """Fields that scale with the width."""

    @property
    @abstractmethod
    def width(self) -> int:
        """The one number that stands for the width."""

    @property
    @abstractmethod
    def label(self) -> str:
        """A few words for tables and logs."""

    @classmethod
    @abstractmethod
    def from_config(cls: type[Self], model_cfg: Mapping[str, Any]) -> Self:
        """Read the architecture off the config of an MMPretrain ``ImageClassifier``.

        Raises:
            FamilyError: An option whose tensors the family does not know.
        """

    @abstractmethod
    def layout(self) -> Layout:
        """Layout of the plain state dict of MMPretrain's ``ImageClassifier``."""

    @abstractmethod
    def _resize_config(self, model_cfg: Any) -> None:
        """Write this architecture's widths into a classifier config that is ours to change."""

    def scaled(self: Self, fraction: Fraction | float) -> Self:
        """The same architecture at a fraction of its width.

        Raises:
            FamilyError: A width that would not be a positive integer.
        """
        exact = Fraction(fraction).limit_denominator(4096)
        changed = {}
        for name in self.width_fields:
            value = getattr(self, name) * exact
            if value.denominator != 1 or value <= 0:
                raise FamilyError(
                    f"{self.label} at width {exact}: {name} = {getattr(self, name)} x {exact} is "
                    "not a positive integer; choose a fraction that divides every width"
                )
            changed[name] = int(value)
        return dataclasses.replace(self, **changed)

    def classifier_config(self, model_cfg: Mapping[str, Any]) -> Any:
        """A copy of a classifier config at this architecture's width.

        Args:
            model_cfg: Config of an ``ImageClassifier`` that differs from this architecture in its
                width only. Everything that has no width (neck, loss, augmentation) is kept.

        Raises:
            FamilyError: It differs in more than the width.
        """
        own = self.from_config(model_cfg)
        others = self.differences(own, ignore=self.width_fields)
        if others:
            raise FamilyError(
                f"the config is {own.label} and cannot be resized to {self.label}: "
                f"{'; '.join(others)}; only widths can be changed"
            )
        resized: Any = copy.deepcopy(model_cfg)
        if own != self:
            self._resize_config(resized)
        return resized

    def check_parent(self, parent: "Architecture", who: str) -> None:
        """Check that an architecture differs from this one in its widths only.

        Args:
            parent: The narrower architecture.
            who: What messages call it.

        Raises:
            FamilyError: Another family, or a field other than the widths that differs.
        """
        found = self.differences(parent, ignore=self.width_fields)
        if found:
            raise FamilyError(
                f"{who} ({parent.label}) cannot be a parent of {self.label}: "
                f"{'; '.join(found)}; parents may differ from their child in width only"
            )

    def check_parents(self, parents: Sequence["Architecture"], names: Sequence[str] = ()) -> None:
        """Check that architectures can be the parents of this one.

        Args:
            parents: One per parent.
            names: What messages call them; their indices by default.

        Raises:
            FamilyError: Another family, a field other than the widths that differs, or widths that
                do not sum to this one's.
        """
        names = names or [f"parent {i}" for i in range(len(parents))]
        for parent, who in zip(parents, names, strict=True):
            self.check_parent(parent, who)
        for field in self.width_fields:
            widths = [getattr(parent, field) for parent in parents]
            if sum(widths) != getattr(self, field):
                raise FamilyError(
                    f"{field} of the parents: {' + '.join(map(str, widths))} = {sum(widths)}, but "
                    f"the child {self.label} has {getattr(self, field)}; choose a child whose "
                    "width is the sum of its parents'"
                )

    def differences(self, other: "Architecture", ignore: Sequence[str] = ()) -> list[str]:
        """In what another architecture differs, in words; empty when in nothing.

        Args:
            other: What to compare with.
            ignore: Fields that may differ.
        """
        if other.family != self.family:
            return [f"family is {other.family} instead of {self.family}"]
        return [
            f"{name} is {theirs} instead of {ours}"
            for name, ours, theirs in self._compared(other)
            if name not in ignore and ours != theirs
        ]

    def to_dict(self) -> dict[str, Any]:
        """The architecture in plain JSON types."""
        fields = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in dataclasses.asdict(self).items()
        }
        return {"family": self.family, **fields}

    @classmethod
    def from_dict(cls: type[Self], values: Mapping[str, Any]) -> Self:
        """The architecture that ``to_dict`` wrote.

        Raises:
            FamilyError: Another family, or fields missing or unknown.
        """
        given = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
            if name != "family"
        }
        known = {field.name for field in dataclasses.fields(cls)}
        if values.get("family") != cls.family or given.keys() != known:
            raise FamilyError(
                f"not an architecture of the family {cls.family}: family is "
                f"{values.get('family')}, missing {sorted(known - given.keys())}, "
                f"unknown {sorted(given.keys() - known)}; was the file written by another version?"
            )
        return cls(**given)

    def _compared(self, other: "Architecture") -> list[tuple[str, Any, Any]]:
        """Name, own and other value of everything that ``differences`` compares."""
        return [
            (field.name, getattr(self, field.name), getattr(other, field.name))
            for field in dataclasses.fields(self)
        ]


def type_name(cfg: Mapping[str, Any] | None, what: str) -> str:
    """The class name in a config's ``type``, without scope.

    Args:
        cfg: A config dict; its type may be a name, a name with scope, or a class.
        what: What messages call the config.

    Raises:
        FamilyError: There is no type.
    """
    if not isinstance(cfg, Mapping) or "type" not in cfg:
        raise FamilyError(f"{what} is {cfg!r}: expected a config dict with a 'type'")
    kind = cfg["type"]
    name: str = kind if isinstance(kind, str) else kind.__name__
    return name.rpartition(".")[2]


def refuse_options(cfg: Mapping[str, Any], allowed: Mapping[str, Sequence[Any]], what: str) -> None:
    """Refuse options that change tensors in a way the family does not know.

    Args:
        cfg: A config dict.
        allowed: Option names and the values that are known; absent options are fine.
        what: What messages call the config.

    Raises:
        FamilyError: An option has another value.
    """
    for option, values in allowed.items():
        if option in cfg and cfg[option] not in values:
            raise FamilyError(
                f"{what}: the option {option}={cfg[option]!r} is not supported; leave it at "
                f"{', '.join(map(repr, values))}"
            )


def pair(value: int | Sequence[int]) -> tuple[int, int]:
    """A size as (height, width)."""
    if isinstance(value, int):
        return value, value
    height, width = value
    return int(height), int(width)
