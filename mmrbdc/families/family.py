"""What a family tells the rest of the program about itself, so that nobody asks which one it is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from torch import Tensor

from mmrbdc.families.backbone_tensors import BackboneTensors
from mmrbdc.families.base import Architecture
from mmrbdc.families.dialect import Dialect

A = TypeVar("A", bound=Architecture)
Changed = tuple[dict[str, Tensor], list[str]]
"""Tensors in MMPretrain's names, and what was done to them, one sentence each."""


@dataclass(frozen=True)
class WrittenModel(Generic[A]):
    """A model as a library keeps it, for the one who writes the library's config beside it.

    Attributes:
        architecture: of the model.
        untold: fields of it that nobody knows.
        tensors: by the library's names.
        read_from: libraries whose names the file had that the model was read from.
    """

    architecture: A
    untold: tuple[str, ...]
    tensors: Mapping[str, Tensor]
    read_from: tuple[str, ...]


Describe = Callable[[WrittenModel[A]], tuple[dict[str, Any], list[str]]]
"""What a library's ``config.json`` says of the architecture, and notes for its reader."""


def _unchanged(tensors: Mapping[str, Tensor], *_: Any) -> Changed:
    return dict(tensors), []


def _nothing(architecture: Any) -> list[str]:
    return []


@dataclass(frozen=True)
class Family(Generic[A]):
    """A family: its architectures, and how files of all libraries hold them.

    Attributes:
        architecture: the class of its architectures.
        titles: what people call its models; the first one stands for the family.
        dialects: the names that libraries give to its tensors.
        fields: reads fields of the architecture off tensors. Its second argument is an architecture
            of the family for which the tensors are wanted, or None; its image size counts where
            the tensors do not tell one. Raises a FamilyError for tensors that are missing or make
            no architecture.
        input_maps: modules of the backbone that read the image's colours; a model has one of them.
        untold: fields that no tensor shows, each with what follows from it and is compared under a
            name of its own (see ``Architecture.differences``).
        sources: who else publishes files of it, in a library's names.
        configs: by library, what its config file says of the architecture.
        completed: adds what a file leaves out, see ``fields`` for the second argument; the third
            one is the libraries whose names the file had.
        trimmed: leaves out what a library has no tensor for; undoes ``completed``.
        elsewhere: in what an architecture differs from those that other libraries build.
    """

    architecture: type[A]
    titles: tuple[str, ...]
    dialects: tuple[Dialect, ...]
    fields: Callable[[BackboneTensors, A | None], dict[str, Any]]
    input_maps: tuple[str, ...]
    untold: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    configs: Mapping[str, Describe[A]] = field(default_factory=dict)
    completed: Callable[[Mapping[str, Tensor], A | None, Sequence[str]], Changed] = _unchanged
    trimmed: Callable[[Mapping[str, Tensor], str], Changed] = _unchanged
    elsewhere: Callable[[A], list[str]] = _nothing

    @property
    def name(self) -> str:
        """As in configs and in the meta of files."""
        return self.architecture.family

    @property
    def backbone_types(self) -> tuple[str, ...]:
        """MMPretrain's backbone classes that belong to the family, without scope."""
        return self.architecture.backbone_types

    def of_its_own(self, architecture: Architecture | None) -> A | None:
        """Return an architecture if it is of this family, else None."""
        return architecture if isinstance(architecture, self.architecture) else None
