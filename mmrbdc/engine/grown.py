"""The initialiser that gives a child its parents' weights."""

from collections.abc import Sequence
from typing import Literal

import torch
from mmengine.logging import MMLogger
from mmengine.model import BaseModule
from torch import nn

from mmrbdc.families import Architecture, architecture_from_dict
from mmrbdc.growth import GrowthResult, grow
from mmrbdc.registry import WEIGHT_INITIALIZERS
from mmrbdc.weights import Checkpoint, WeightsError, load_strict, read_checkpoint


@WEIGHT_INITIALIZERS.register_module()
class Grown:
    """Initialise a classifier by growing it from parents' files.

    Use it on the classifier, ``init_cfg=dict(type='mmrbdc.Grown', parents=[...])``, never on a
    backbone or a wrapper: MMEngine runs it before the children's own initialisation, which it
    suppresses by marking every module below as initialised.

    Args:
        parents: member files, in the order in which they are placed.
        operator: name of the growth operator.
        architecture: the child's, as ``Architecture.to_dict()`` gives it; ``None`` sums the widths
            that the parents' files state.
        weights: ``'raw'``, ``'ema'``, or ``None`` for files that hold only one of the two.
        allow_equal: accept parents with equal weights.
        seed: of the operators that draw.

    Raises:
        WeightsError, GrowthError, FamilyError: a file that cannot be read, or parents that do not
        fit.
    """

    def __init__(
        self,
        parents: Sequence[str],
        operator: str = "block-diagonal",
        architecture: dict | None = None,
        weights: Literal["raw", "ema"] | None = None,
        allow_equal: bool = False,
        seed: int = 0,
    ) -> None:
        self.parents = list(parents)
        self.operator = operator
        self.architecture = architecture
        self.weights = weights
        self.allow_equal = allow_equal
        self.seed = seed

    def __call__(self, module: nn.Module) -> None:
        """Grow, load strictly, and keep MMEngine from initialising what is below."""
        result = self.grow()
        load_strict(module, result.state_dict, source=" + ".join(self.parents))
        for child in module.modules():
            if isinstance(child, BaseModule):
                child.is_init = True
        logger = MMLogger.get_current_instance()
        for line in result.report.summary_lines():
            logger.info(line)

    def grow(self) -> GrowthResult:
        """Read the parents and make the child's state dict."""
        checkpoints = [read_checkpoint(path, weights=self.weights) for path in self.parents]
        child = self._child_architecture(checkpoints)
        known = [c.meta["architecture"] for c in checkpoints if "architecture" in c.meta]
        if len(known) == len(checkpoints):
            child.check_parents([architecture_from_dict(entry) for entry in known])
        return grow(
            [checkpoint.state_dict for checkpoint in checkpoints],
            child.layout(),
            operator=self.operator,
            generator=torch.Generator().manual_seed(self.seed),
            allow_equal=self.allow_equal,
        )

    def _child_architecture(self, checkpoints: Sequence[Checkpoint]) -> Architecture:
        if self.architecture is not None:
            return architecture_from_dict(self.architecture)
        for checkpoint in checkpoints:
            if "architecture" not in checkpoint.meta:
                raise WeightsError(
                    f"{checkpoint.path} does not say its architecture; give Grown the child's: "
                    "architecture=dict(family=..., ...), or use tools/grow.py with --config"
                )
        parents = [architecture_from_dict(c.meta["architecture"]) for c in checkpoints]
        return parents[0].scaled(sum(p.width for p in parents) / parents[0].width)
