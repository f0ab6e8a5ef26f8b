"""A file's tensors in MMPretrain's names, for a family that reads its architecture off them."""

from collections.abc import Mapping

import torch
from torch import Tensor

from mmrbdc.families.dialect import BACKBONE
from mmrbdc.families.errors import FamilyError


class BackboneTensors:
    """The backbone's tensors without ``backbone.`` in front; a missing one is an error.

    Args:
        tensors: by MMPretrain's names, ``backbone.*`` and ``head.*``.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self.tensors = tensors

    def has(self, name: str) -> bool:
        """Whether the backbone has a tensor."""
        return BACKBONE + name in self.tensors

    def shape(self, name: str, dimensions: int) -> torch.Size:
        """Return the shape of a tensor of the backbone.

        Raises:
            FamilyError: there is none, or it has another number of dimensions.
        """
        if not self.has(name):
            raise FamilyError(f"it lacks {BACKBONE}{name} (MMPretrain's name of it)")
        shape = self.tensors[BACKBONE + name].shape
        if len(shape) != dimensions:
            raise FamilyError(
                f"{BACKBONE}{name} (MMPretrain's name of it) has the shape {tuple(shape)}; "
                f"expected {dimensions} dimensions"
            )
        return shape

    def count(self, template: str, start: int = 0) -> int:
        """Return how many tensors there are from ``template.format(start)`` on."""
        number = 0
        while self.has(template.format(start + number)):
            number += 1
        return number

    def outputs(self, head: str) -> int | None:
        """Return how many rows a weight of the head has; None where there is none of that name."""
        tensor = self.tensors.get(head)
        return None if tensor is None else tensor.shape[0]
