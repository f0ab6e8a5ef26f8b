"""The initialiser that gives a child its parents' weights."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from mmengine.logging import MMLogger
from mmengine.model import BaseModule
from torch import nn

from mmrbdc.engine.fit_parents import fit_parent
from mmrbdc.families import Architecture, architecture_from_dict
from mmrbdc.growth import Context, GrowthResult, get_operator, grow
from mmrbdc.registry import WEIGHT_INITIALIZERS
from mmrbdc.shipped import command
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
            that the parents' files state, for operators whose parents sum to the child.
        weights: ``'raw'``, ``'ema'``, or ``None`` for files that hold only one of the two.
        allow_equal: accept parents with equal weights.
        seed: of the operators that draw.
        depth_operator: how to deepen parents that have fewer blocks than the child, ``'stack'`` or
            ``'adjacent'``; ``None`` refuses them.
        resize_positions: resize the position tables of parents of another image size, instead of
            refusing them.
        grown: file that holds the child already, for operators that need data: the protocol's
            runner grows with them before the run.

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
        depth_operator: Literal["stack", "adjacent"] | None = None,
        resize_positions: bool = False,
        grown: str | None = None,
    ) -> None:
        self.parents = list(parents)
        self.operator = operator
        self.architecture = architecture
        self.weights = weights
        self.allow_equal = allow_equal
        self.seed = seed
        self.depth_operator = depth_operator
        self.resize_positions = resize_positions
        self.grown = grown

    def __call__(self, module: nn.Module) -> None:
        """Grow, load strictly, and keep MMEngine from initialising what is below."""
        lines = []
        if self.grown is not None:
            load_strict(module, read_checkpoint(self.grown).state_dict, source=self.grown)
        else:
            result = self.grow()
            load_strict(module, result.state_dict, source=" + ".join(self.parents))
            lines = result.report.summary_lines()
        for child in module.modules():
            if isinstance(child, BaseModule):
                child.is_init = True
        logger = MMLogger.get_current_instance()
        for line in lines:
            logger.info(line)

    def grow(self, context: Context | None = None) -> GrowthResult:
        """Read the parents and make the child's state dict, with a context if it takes one."""
        checkpoints = [read_checkpoint(path, weights=self.weights) for path in self.parents]
        child = self._child_architecture(checkpoints)
        own = [
            architecture_from_dict(c.meta["architecture"]) if "architecture" in c.meta else None
            for c in checkpoints
        ]
        known = [architecture for architecture in own if architecture is not None]
        if len(known) == len(checkpoints):
            fitting: Any = dict(
                depth=self.depth_operator is not None, positions=self.resize_positions
            )
            if get_operator(self.operator).parents == "sum":
                child.check_parents(known, **fitting)
            else:
                for path, architecture in zip(self.parents, known, strict=True):
                    child.check_parent(architecture, path, inner=True, **fitting)
        fitted = [
            fit_parent(
                checkpoint.state_dict,
                architecture,
                child,
                depth_operator=self.depth_operator,
                positions=self.resize_positions,
                who=str(checkpoint.path),
            )
            for checkpoint, architecture in zip(checkpoints, own, strict=True)
        ]
        logger = MMLogger.get_current_instance()
        for parent, path in zip(fitted, self.parents, strict=True):
            if parent.changes:
                logger.info(f"{path}, before it is grown: {', '.join(parent.changes)}")
        states = [parent.state_dict for parent in fitted]
        return grow(
            states,
            child.layout(),
            operator=self.operator,
            generator=torch.Generator().manual_seed(self.seed),
            context=context,
            allow_equal=self.allow_equal,
        )

    def _child_architecture(self, checkpoints: Sequence[Checkpoint]) -> Architecture:
        if self.architecture is not None:
            return architecture_from_dict(self.architecture)
        if get_operator(self.operator).parents == "one":
            raise WeightsError(
                f"the operator '{self.operator}' makes a child of any width; give Grown the "
                "child's: architecture=dict(family=..., ...), or use "
                f"`{command('grow', '--config', 'CONFIG')}`"
            )
        for checkpoint in checkpoints:
            if "architecture" not in checkpoint.meta:
                raise WeightsError(
                    f"{checkpoint.path} does not say its architecture; give Grown the child's: "
                    "architecture=dict(family=..., ...), or use "
                    f"`{command('grow', '--config', 'CONFIG')}`"
                )
        parents = [architecture_from_dict(c.meta["architecture"]) for c in checkpoints]
        return parents[0].scaled(sum(p.width for p in parents) / parents[0].width)
