"""What every family tells the rest of the program about itself."""

import copy
import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar, TypeVar

from torch import Tensor

from mmrbdc.families.errors import FamilyError
from mmrbdc.growth import Layout

Self = TypeVar("Self", bound="Architecture")


@dataclass(frozen=True)
class Architecture(ABC):
    """One architecture of a family at one width: everything its tensors' shapes depend on.

    A frozen dataclass with plain fields (int, bool, str, tuples of them).
    """

    family: ClassVar[str]
    """Name of the family, as in configs and in the meta of files."""
    backbone_types: ClassVar[tuple[str, ...]]
    """MMPretrain's backbone classes that belong to the family, without scope."""
    width_fields: ClassVar[tuple[str, ...]]
    """Fields that scale with the width."""
    inner_fields: ClassVar[tuple[str, ...]] = ()
    """Fields that change with the inner width of the blocks; none where it cannot change alone."""
    depth_fields: ClassVar[tuple[str, ...]] = ()
    """Fields that change when depth grows; none in a family whose depth cannot grow."""
    image_fields: ClassVar[tuple[str, ...]] = ()
    """Fields that change with the size of the training image; none where no tensor does."""
    head_fields: ClassVar[tuple[str, ...]] = ("num_classes",)
    """Fields that a backbone without its head does not have."""
    head_of_one_class: ClassVar[Mapping[str, Any]]
    """Neck and head of a classifier of one class, as configs: what makes a backbone one."""

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
            FamilyError: an option whose tensors the family does not know.
        """

    @abstractmethod
    def layout(self) -> Layout:
        """Layout of the plain state dict of MMPretrain's ``ImageClassifier``."""

    @property
    @abstractmethod
    def num_layers(self) -> int:
        """Layers behind the stem, for layer-wise decay of the learning rate."""

    @abstractmethod
    def layer_of(self, name: str) -> int:
        """The layer of a parameter of the backbone, for layer-wise decay of the learning rate.

        Args:
            name: without ``backbone.`` in front.

        Returns:
            0 for the stem, 1 to ``num_layers`` for the layers, ``num_layers`` + 1 for what stands
            behind them.

        Raises:
            FamilyError: the name belongs to none.
        """

    @abstractmethod
    def _resize_config(self, model_cfg: Any) -> None:
        """Write widths, depth and image size into a classifier config that is ours to change."""

    @property
    def grid(self) -> tuple[int, int] | None:
        """Rows and columns of the position table; ``None`` where there is none."""
        return None

    @property
    def not_trained(self) -> str | None:
        """Why no run can train it, and what to take instead; ``None`` where runs can."""
        return None

    def label_without(self, untold: Sequence[str]) -> str:
        """The label without what it says of some fields, which are not known."""
        return self.label

    def at_depth(self: Self, fraction: Fraction) -> Self:
        """The same architecture with a fraction of its blocks.

        Raises:
            FamilyError: a family whose depth cannot grow, or a number of blocks that is not whole.
        """
        if fraction == 1:
            return self
        raise FamilyError(
            f"{self.label} at depth {fraction}: depth growth needs blocks that are all alike, "
            "which this family does not have; leave depth out of the stages"
        )

    def at_inner(self: Self, fraction: Fraction) -> Self:
        """The same architecture with a fraction of the inner width of its blocks.

        Raises:
            FamilyError: a family without one, or a width that would not be a positive integer.
        """
        if fraction == 1:
            return self
        raise FamilyError(f"{self.label} has no inner width of its own; leave inner out")

    def at_image_size(self: Self, pixels: int) -> Self:
        """The same architecture for square training images of another size.

        Raises:
            FamilyError: a size that the architecture cannot take.
        """
        return self

    def fitted(self: Self, state_dict: Mapping[str, Tensor], who: str) -> Self:
        """This architecture at the depth and with the position table of some tensors.

        For files that do not say their architecture. Widths stay as they are.

        Args:
            state_dict: tensors of the family.
            who: what messages call them.

        Raises:
            FamilyError: a position table whose grid cannot be told from its length.
        """
        return self

    def taking(self: Self, other: "Architecture", fields: Sequence[str]) -> Self:
        """This architecture with some fields of another of its family."""
        return dataclasses.replace(self, **{name: getattr(other, name) for name in fields})

    def scaled(self: Self, fraction: Fraction | float) -> Self:
        """The same architecture at a fraction of its width.

        Raises:
            FamilyError: a width that would not be a positive integer.
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
        """A copy of a classifier config at this architecture's width, depth and image size.

        Args:
            model_cfg: Config of an ``ImageClassifier`` that differs from this architecture in
                these only. Everything else (neck, loss, augmentation) is kept.

        Raises:
            FamilyError: it differs in more.
        """
        own = self.from_config(model_cfg)
        changeable = (
            *self.width_fields,
            *self.inner_fields,
            *self.depth_fields,
            *self.image_fields,
        )
        others = self.differences(own, ignore=changeable)
        if others:
            raise FamilyError(
                f"the config is {own.label} and cannot be resized to {self.label}: "
                f"{'; '.join(others)}; only {', '.join(changeable)} can be changed"
            )
        resized: Any = copy.deepcopy(model_cfg)
        if own != self:
            self._resize_config(resized)
        return resized

    def check_parent(
        self,
        parent: "Architecture",
        who: str,
        *,
        inner: bool = False,
        depth: bool = False,
        positions: bool = False,
        deeper: bool = False,
    ) -> None:
        """Check that an architecture differs from this one in its widths only.

        Args:
            parent: the narrower architecture.
            who: what messages call it.
            inner: accept a narrower inner width: the operator grows it.
            depth: accept a parent of fewer blocks: it will be deepened.
            positions: accept another image size: the position table will be resized.
            deeper: accept a parent of more blocks: some of them will be taken.

        Raises:
            FamilyError: another family, or another field that differs.
        """
        free = [
            *self.width_fields,
            *(self.inner_fields if inner else ()),
            *(self.depth_fields if depth or deeper else ()),
            *(self.image_fields if positions else ()),
        ]
        found = self.differences(parent, ignore=free)
        if found:
            raise FamilyError(
                f"{who} ({parent.label}) cannot be a parent of {self.label}: "
                f"{'; '.join(found)}; parents may differ from their child in width only"
                f"{self._next_step(parent, depth, positions)}"
            )
        if not deeper and any(
            getattr(parent, field) > getattr(self, field) for field in self.depth_fields
        ):
            raise FamilyError(
                f"{who} ({parent.label}) cannot be a parent of {self.label}: it is deeper, and "
                "depth only grows; choose a child that is at least as deep"
            )

    def check_parents(
        self,
        parents: Sequence["Architecture"],
        names: Sequence[str] = (),
        *,
        depth: bool = False,
        positions: bool = False,
    ) -> None:
        """Check that architectures can be the parents of this one.

        Args:
            parents: one per parent.
            names: what messages call them; their indices by default.
            depth: accept parents of fewer blocks: they will be deepened.
            positions: accept other image sizes: position tables will be resized.

        Raises:
            FamilyError: another family, a field other than these that differs, or widths that do
                not sum to this one's.
        """
        names = names or [f"parent {i}" for i in range(len(parents))]
        for parent, who in zip(parents, names, strict=True):
            self.check_parent(parent, who, depth=depth, positions=positions)
        self.check_sum(parents)

    def check_sum(self, parents: Sequence["Architecture"]) -> None:
        """Check that the widths of parents, each checked already, sum to this one's.

        Raises:
            FamilyError: they do not.
        """
        for field in self.width_fields:
            widths = [getattr(parent, field) for parent in parents]
            if sum(widths) != getattr(self, field):
                raise FamilyError(
                    f"{field} of the parents: {' + '.join(map(str, widths))} = {sum(widths)}, but "
                    f"the child {self.label} has {getattr(self, field)}; choose a child whose "
                    "width is the sum of its parents'"
                )

    def _next_step(self, parent: "Architecture", depth: bool, positions: bool) -> str:
        """What makes a parent of another depth or image size fit, for messages."""
        steps = []
        if parent.family == self.family:
            if not depth and any(getattr(parent, f) < getattr(self, f) for f in self.depth_fields):
                steps.append("--depth-operator stack, adjacent or adjacent-last deepens it")
            if not positions and self.grid != parent.grid:
                steps.append("--resize-positions resizes its position table")
        return f", but {' and '.join(steps)}" if steps else ""

    def differences(self, other: "Architecture", ignore: Sequence[str] = ()) -> list[str]:
        """In what another architecture differs, in words; empty when in nothing.

        Args:
            other: what to compare with.
            ignore: fields that may differ.
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
            FamilyError: another family, or fields missing or unknown.
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
