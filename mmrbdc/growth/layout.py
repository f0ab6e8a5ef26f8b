"""Name the dimensions of every tensor once, and every growth operator is generic.

A *channel space* is a set of channels that several tensors share: the residual stream of a ViT, the
heads of its layer 3, the hidden units of its layer 3. An axis of a tensor **writes** a space (its
outputs live there), **reads** one (its inputs come from there), or is fixed (kernel, colours,
classes, tokens). A *layout* says this for each tensor of a state dict.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os.path import commonpath
from typing import Literal

from torch import Tensor

from mmrbdc.growth.errors import GrowthError

SpaceKind = Literal["stream", "heads", "hidden", "stem"]
Role = Literal["weight", "bias", "scale", "shift", "statistic", "counter", "token", "position"]


@dataclass(frozen=True)
class Space:
    """Channels that several tensors share.

    Attributes:
        name: unique within a layout.
        size: number of channels.
        kind: what the channels are.
        unit: channels that only make sense together: the head size of a ``heads`` space, else 1.
        reader_norms: module names of the norms that stand in front of the space's readers.
        activation: activation behind the space's writer, lower case, ``None`` for none.
    """

    name: str
    size: int
    kind: SpaceKind
    unit: int = 1
    reader_norms: tuple[str, ...] = ()
    activation: str | None = None

    def __post_init__(self) -> None:
        if self.size <= 0 or self.unit <= 0 or self.size % self.unit:
            raise GrowthError(
                f"space '{self.name}' has {self.size} channels in units of {self.unit}: "
                "both must be positive and the unit must divide the size"
            )


@dataclass(frozen=True)
class Axis:
    """One dimension of a tensor: use ``Axis.writes``, ``Axis.reads`` or ``Axis.fixed``.

    Attributes:
        space: name of the space it writes or reads, ``None`` when fixed.
        mode: how it relates to the space.
        fused: maps laid behind each other in this axis: 3 for ``qkv``, 3 x size entries long.
        size: length of a fixed axis, 0 otherwise.
        meaning: what a fixed axis counts, for messages.
    """

    space: str | None
    mode: Literal["writes", "reads", "fixed"]
    fused: int = 1
    size: int = 0
    meaning: str = ""

    @classmethod
    def writes(cls, space: str, fused: int = 1) -> "Axis":
        """An axis whose entries are outputs that live in ``space``."""
        return cls(space, "writes", fused)

    @classmethod
    def reads(cls, space: str, fused: int = 1) -> "Axis":
        """An axis whose entries are inputs that come from ``space``."""
        return cls(space, "reads", fused)

    @classmethod
    def fixed(cls, size: int, meaning: str = "") -> "Axis":
        """An axis of constant length, the same for parents and child."""
        return cls(None, "fixed", 1, size, meaning)


@dataclass(frozen=True)
class Entry:
    """What is known of one tensor.

    Attributes:
        axes: one per dimension; empty for a scalar.
        role: what the tensor is for.
        block: running number of the residual block that it belongs to, ``None`` outside of blocks.
    """

    axes: tuple[Axis, ...]
    role: Role
    block: int | None = None

    @property
    def writes_space(self) -> bool:
        """Whether one of the axes writes a space."""
        return any(axis.mode == "writes" for axis in self.axes)

    @property
    def reads_space(self) -> bool:
        """Whether one of the axes reads a space."""
        return any(axis.mode == "reads" for axis in self.axes)


@dataclass(frozen=True)
class Layout:
    """The meaning of every tensor of one architecture at one width.

    Attributes:
        spaces: by name.
        entries: by tensor name, in the order of the state dict.
        back: modules that stand behind all blocks, such as the classifier; what else stands outside
            of blocks is in front of them.
    """

    spaces: dict[str, Space]
    entries: dict[str, Entry]
    back: tuple[str, ...] = ("head",)

    def __post_init__(self) -> None:
        for name, entry in self.entries.items():
            for axis in entry.axes:
                if axis.space is not None and axis.space not in self.spaces:
                    raise GrowthError(
                        f"layout entry '{name}' names the space '{axis.space}', which the layout "
                        f"does not have; it has {', '.join(self.spaces)}"
                    )

    def shape(self, tensor_name: str) -> tuple[int, ...]:
        """Shape of a tensor at this layout's width."""
        return tuple(
            axis.size if axis.space is None else axis.fused * self.spaces[axis.space].size
            for axis in self.entries[tensor_name].axes
        )

    @property
    def sizes(self) -> dict[str, int]:
        """Size of every space, by name."""
        return {name: space.size for name, space in self.spaces.items()}

    def resized(self, sizes: Mapping[str, int]) -> "Layout":
        """Return the same layout with other sizes of its spaces, all of them named."""
        spaces = {n: replace(space, size=sizes[n]) for n, space in self.spaces.items()}
        return replace(self, spaces=spaces)

    def is_back(self, tensor_name: str) -> bool:
        """Whether a tensor outside of blocks belongs to the back of the network, else to its front.

        Raises:
            GrowthError: it belongs to a block.
        """
        block = self.entries[tensor_name].block
        if block is not None:
            raise GrowthError(f"'{tensor_name}' belongs to block {block}, to neither end")
        return any(tensor_name.startswith(f"{module}.") for module in self.back)

    def names_in(self, parts: Sequence[str]) -> list[str]:
        """Names of the trained tensors in some parts of the network.

        Args:
            parts: ``'front'`` and ``'back'``, as :meth:`is_back` tells them apart, and
                ``'block 0'``, ``'block 1'`` and so on.

        Raises:
            GrowthError: a part that there is not.
        """
        found: dict[str, list[str]] = {"front": [], "back": []}
        for name, entry in self.entries.items():
            if entry.block is not None:
                part = f"block {entry.block}"
            else:
                part = "back" if self.is_back(name) else "front"
            if entry.role not in ("statistic", "counter"):
                found.setdefault(part, []).append(name)
        unknown = [part for part in parts if part not in found]
        if unknown:
            raise GrowthError(f"there is no part '{unknown[0]}'; there is {', '.join(found)}")
        return [name for part in parts for name in found[part]]

    def block_modules(self) -> list[str]:
        """Names of the modules that the blocks are, in order."""
        found: dict[int, list[str]] = {}
        for name, entry in self.entries.items():
            if entry.block is not None:
                found.setdefault(entry.block, []).append(name)
        paths = [[name.replace(".", "/") for name in found[block]] for block in sorted(found)]
        return [commonpath(names).replace("/", ".") for names in paths]

    @property
    def num_blocks(self) -> int:
        """How many residual blocks there are."""
        return len(self.blocks())

    def blocks(self) -> list[list[Entry]]:
        """The entries of each block, in order."""
        found: dict[int, list[Entry]] = {}
        for entry in self.entries.values():
            if entry.block is not None:
                found.setdefault(entry.block, []).append(entry)
        return [found[block] for block in sorted(found)]

    def first_blocks(self, count: int) -> "Layout":
        """Return the layout of the same architecture with its first blocks only."""
        entries = {n: e for n, e in self.entries.items() if e.block is None or e.block < count}
        used = {axis.space for entry in entries.values() for axis in entry.axes}
        spaces = {name: space for name, space in self.spaces.items() if name in used}
        return replace(self, spaces=spaces, entries=entries)

    def space_sizes(self, state_dict: Mapping[str, Tensor], who: str) -> dict[str, int]:
        """Infer from the tensors of a parent how large each of its spaces is.

        Args:
            state_dict: the parent's tensors. Names, number of dimensions and fixed axes must be
                this layout's; sizes of the spaces are free as long as all tensors agree on them.
            who: what messages call the parent.

        Returns:
            Size of each space, by name.

        Raises:
            GrowthError: missing or extra tensors, another number of dimensions, another fixed axis,
                tensors that disagree about a space, a size that is not a multiple of the unit.
        """
        self._check_names(state_dict, who)
        sizes: dict[str, int] = {}
        said_by: dict[str, str] = {}
        for name, entry in self.entries.items():
            shape = tuple(state_dict[name].shape)
            if len(shape) != len(entry.axes):
                raise GrowthError(
                    f"{self._shapes(who, name, shape)}: the number of dimensions differs, so "
                    "this is another architecture"
                )
            for dim, (axis, length) in enumerate(zip(entry.axes, shape, strict=True)):
                if axis.space is None:
                    if length != axis.size:
                        what = axis.meaning or f"axis {dim}"
                        resizes = ", or --resize-positions" if entry.role == "position" else ""
                        raise GrowthError(
                            f"{self._shapes(who, name, shape)}: {what} is {length} here and "
                            f"{axis.size} in the child, and only widths may differ; train the "
                            "parent with the child's setting or change the child's config"
                            f"{resizes}"
                        )
                    continue
                size = self._size_from_axis(axis, length, name, shape, who)
                if sizes.setdefault(axis.space, size) != size:
                    other = said_by[axis.space]
                    raise GrowthError(
                        f"{who}: '{name}' has shape {shape}, which makes space '{axis.space}' "
                        f"{size} wide, but '{other}' with shape "
                        f"{tuple(state_dict[other].shape)} makes it {sizes[axis.space]}; "
                        "the file does not hold one consistent model"
                    )
                said_by.setdefault(axis.space, name)
        return sizes

    def parent_sizes(self, parents: Sequence[Mapping[str, Tensor]]) -> list[dict[str, int]]:
        """Return :meth:`space_sizes` of every parent, called by its index."""
        return [self.space_sizes(parent, f"parent {i}") for i, parent in enumerate(parents)]

    def _shapes(self, who: str, name: str, shape: Sequence[int]) -> str:
        return f"{who}: '{name}' has shape {tuple(shape)}, the child's has {self.shape(name)}"

    def _size_from_axis(
        self, axis: Axis, length: int, name: str, shape: Sequence[int], who: str
    ) -> int:
        assert axis.space is not None
        space = self.spaces[axis.space]
        step = axis.fused * space.unit
        if length == 0 or length % step:
            hint = "; is its head size the child's?" if space.kind == "heads" else ""
            raise GrowthError(
                f"{self._shapes(who, name, shape)}: {length} is not a multiple of {axis.fused} x "
                f"{space.unit} (maps x unit of space '{space.name}'){hint}"
            )
        return length // axis.fused

    def _check_names(self, state_dict: Mapping[str, Tensor], who: str) -> None:
        missing = [name for name in self.entries if name not in state_dict]
        extra = [name for name in state_dict if name not in self.entries]
        if not missing and not extra:
            return
        parts = []
        if missing:
            parts.append(f"{len(missing)} missing ({_some(missing)})")
        if extra:
            parts.append(f"{len(extra)} that the child does not have ({_some(extra)})")
        if len(missing) == len(self.entries):
            hint = "not one name is the same: is it another family, or another library's file?"
        elif gone := self._blocks_gone(set(missing)):
            hint = (
                f"no tensor of block {gone} is there: is the parent less deep? "
                "--depth-operator deepens parents"
            )
        else:
            hint = "parents and child must be the same architecture apart from their width"
        raise GrowthError(f"{who}: names differ from the child's: {'; '.join(parts)}; {hint}")

    def _blocks_gone(self, missing: set[str]) -> str:
        """Numbers of the blocks none of whose tensors are there; empty when there are none."""
        names: dict[int, set[str]] = {}
        for name, entry in self.entries.items():
            if entry.block is not None:
                names.setdefault(entry.block, set()).add(name)
        gone = [block for block, members in names.items() if members <= missing]
        return ", ".join(map(str, gone))


def _some(names: Sequence[str], limit: int = 3) -> str:
    """The first names, and how many are not shown."""
    shown = ", ".join(f"'{name}'" for name in names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"
