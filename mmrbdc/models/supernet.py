"""An elastic supernet: one model whose sub-nets skip blocks and see smaller images."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.logging import MessageHub
from torch import nn

from mmrbdc.growth.parents.depth import block_sources, kept_blocks
from mmrbdc.models.siblings import Siblings
from mmrbdc.registry import MODELS
from mmrbdc.search import SubNet, draw


@dataclass(frozen=True)
class Draws:
    """The sub-net of each iteration, the same on all ranks.

    Attributes:
        candidates: sub-nets.
        seed: of the run.
        stage: number of the searching stage.
    """

    candidates: tuple[SubNet, ...]
    seed: int
    stage: int

    def now(self) -> SubNet:
        """That of the iteration that runs."""
        iteration = MessageHub.get_current_instance().get_info("iter", 0)
        return draw(self.candidates, self.seed, self.stage, iteration)

    def image_size(self) -> int:
        """Its images' height and width in pixels."""
        return self.now().img_size


@contextmanager
def only_blocks(model: nn.Module, blocks: Sequence[str], kept: Sequence[int]) -> Iterator[None]:
    """Let a model pass over all but some of its blocks while the context lasts.

    Args:
        model: of which the blocks are modules.
        blocks: names of all its blocks, in order.
        kept: numbers of those that work.
    """
    skipped = [name.rpartition(".") for i, name in enumerate(blocks) if i not in kept]
    places = [(model.get_submodule(parent)._modules, leaf) for parent, _, leaf in skipped]
    were = [modules[leaf] for modules, leaf in places]
    for modules, leaf in places:
        modules[leaf] = nn.Identity()
    try:
        yield
    finally:
        for (modules, leaf), block in zip(places, were, strict=True):
            modules[leaf] = block


@MODELS.register_module()
class Supernet(Siblings):
    """One classifier that trains another of its sub-nets in each iteration.

    A sub-net skips the earliest of the blocks by which the supernet is deeper than the model that
    it was grown from (:func:`mmrbdc.growth.parents.depth.kept_blocks`), and sees images resized in
    the preprocessor. Blocks that are skipped get no gradient: several processes need
    ``find_unused_parameters=True``. Validation runs the whole supernet.

    Args:
        candidates: sub-nets, as (blocks, pixels).
        current: blocks of the model that it was grown from.
        blocks: names of the modules of all blocks of a member, in order.
        draw_seed: of the run.
        stage: number of the searching stage.
        fresh: whether a member that is initialised, not grown, begins as one of ``current`` blocks
            would when it is grown: with copies of blocks beside them.
        kwargs: as for :class:`Siblings`, of one member.

    Raises:
        ValueError: not one member, or blocks or candidates that do not fit.
    """

    def __init__(
        self,
        *args: Any,
        candidates: Sequence[Sequence[int]],
        current: int,
        blocks: Sequence[str],
        draw_seed: int,
        stage: int,
        fresh: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        if len(self.members) != 1:
            raise ValueError(f"Supernet is one model, got {len(self.members)} members")
        self.draws = Draws(tuple(SubNet(*one) for one in candidates), draw_seed, stage)
        self.current = current
        self.blocks = list(blocks)
        self.fresh = fresh
        for one in self.draws.candidates:
            self.kept(one)
        self.data_preprocessor.training_size = self.draws.image_size

    def kept(self, net: SubNet) -> tuple[int, ...]:
        """Numbers of the blocks that a sub-net runs."""
        return kept_blocks(self.current, len(self.blocks), net.depth)

    @contextmanager
    def only(self, net: SubNet) -> Iterator[None]:
        """Be a sub-net while the context lasts; its images must have been resized."""
        with only_blocks(self.members[0], self.blocks, self.kept(net)):
            yield

    def init_weights(self) -> None:
        """Initialise, then repeat blocks if the model is fresh."""
        super().init_weights()
        if not self.fresh:
            return
        sources = block_sources("adjacent-last", self.current, len(self.blocks))
        modules = [self.members[0].get_submodule(name) for name in self.blocks]
        for place, source in enumerate(sources):
            first = sources.index(source)
            if first != place:
                modules[place].load_state_dict(modules[first].state_dict())

    def _losses(self, inputs: Any, data_samples: Any) -> dict[str, torch.Tensor]:
        with self.only(self.draws.now()):
            return super()._losses(inputs, data_samples)
