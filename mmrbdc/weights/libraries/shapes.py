"""The architecture that tensors in MMPretrain's names have, as far as their shapes tell it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from mmrbdc.families import Architecture, Family, FamilyError
from mmrbdc.families.backbone_tensors import BackboneTensors
from mmrbdc.weights.errors import WeightsError


@dataclass(frozen=True)
class Shapes:
    """What the shapes of a file's tensors tell.

    Attributes:
        architecture: of the tensors; a field that they do not tell has an arbitrary value.
        untold: names of those fields.
        not_compared: these, and what else an architecture compares that follows from them.
    """

    architecture: Architecture
    untold: tuple[str, ...]
    not_compared: tuple[str, ...]

    @property
    def label(self) -> str:
        """The architecture in a few words, without what is not known."""
        return self.architecture.label_without(self.untold)

    def differences(self, own: Architecture, ignore: Sequence[str] = ()) -> list[str]:
        """In what the tensors differ from an architecture, in words; empty when in nothing."""
        return own.differences(self.architecture, ignore=[*ignore, *self.not_compared])


def shapes_of(
    family: Family[Any],
    tensors: Mapping[str, Tensor],
    facts: Mapping[str, Any],
    like: Architecture | None,
    source: str,
) -> Shapes:
    """Read the architecture off tensors.

    Args:
        family: whose they are.
        tensors: by MMPretrain's names, ``backbone.*`` and ``head.*``.
        facts: fields that no tensor shows and that are known otherwise.
        like: an architecture for which they are wanted; see ``Family.fields``.
        source: the file, for messages.

    Raises:
        WeightsError: a tensor is missing without which nothing can be said, or they make no
            architecture of the family.
    """
    try:
        fields = family.fields(BackboneTensors(tensors), family.of_its_own(like))
        architecture = family.architecture(**{**fields, **facts})
    except FamilyError as error:
        raise WeightsError(f"{source}: {error}") from None
    untold = tuple(name for name in family.untold if name not in facts)
    following = [name for field in untold for name in family.untold[field]]
    return Shapes(architecture, untold, (*untold, *following))
