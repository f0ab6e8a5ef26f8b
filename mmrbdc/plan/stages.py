"""What a protocol says before anything runs: its stages, and the rules that they keep.

A config holds both at top level::

    protocol = dict(method='rbdc', family='deit', reference_epochs=300, train_samples=1281167)
    stages = [
        dict(members=2, width='1/2', epochs=250),
        dict(members=1, width=1, epochs=167, optim_wrapper=dict(optimizer=dict(lr=5e-4))),
    ]

A stage may be shallower than the target, ``depth='1/2'``, narrower inside its blocks only,
``inner='1/2'``, or see smaller images, ``img_size=112``; ``protocol.depth_operator`` says how depth
grows. None of them falls from one stage to the next. ``warmup`` (epochs) is a stage's own, before
``protocol.warmup``, which is that of all stages that begin at a junction.
Whatever a stage says beyond these, members, width and length overrides the config for that stage.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from mmrbdc.plan.errors import PlanError
from mmrbdc.plan.progression import Progression, Ramp, Search
from mmrbdc.plan.steps import Step

RESIZES = ("pipeline", "preprocessor")


@dataclass(frozen=True)
class Stage:
    """One phase of a protocol: ``members`` models of equal width, trained for equally long.

    Args:
        members: how many models.
        width: their width as a fraction of the target's.
        epochs: length in epochs, not necessarily whole; None where ``iters`` is given.
        iters: length in iterations; None where ``epochs`` is given.
        overrides: Config overrides of this stage, in the form of ``Config.merge_from_dict``.
        depth: their number of blocks as a fraction of the target's.
        img_size: height and width of their images in pixels; None for the config's.
        inner: the inner width of their blocks as a fraction of that of the target at this width.
        warmup: epochs of its warm-up; None for the protocol's.
        frozen: parts that each member keeps as they are, see ``Layout.names_in``; empty where all
            members train everything. The method says it.
        resize: what brings its images to ``img_size``: the ``'pipeline'``, whose crops become
            smaller and whose model has a smaller table of positions; or the ``'preprocessor'``,
            which resizes the target's images behind all augmentation of single images, while the
            model keeps the target's table and resizes it in its forward pass.
        search: what a searching stage tries; ``None`` for other stages. The method says it.
        skipped: whether what was found has left the stage out.
        ramp: its regularisation; ``None`` for the recipe's.
    """

    members: int
    width: Fraction
    epochs: float | None = None
    iters: int | None = None
    overrides: dict[str, Any] = field(default_factory=dict)
    depth: Fraction = Fraction(1)
    img_size: int | None = None
    inner: Fraction = Fraction(1)
    warmup: float | None = None
    frozen: tuple[tuple[str, ...], ...] = ()
    resize: str = "pipeline"
    search: Search | None = None
    skipped: bool = False
    ramp: Ramp | None = None

    @property
    def resized_to(self) -> int | None:
        """Pixels to which the preprocessor resizes its images; ``None`` where it leaves them."""
        return self.img_size if self.resize == "preprocessor" else None


@dataclass(frozen=True)
class Protocol:
    """A pretraining run from the first stage's members to the one final model.

    Args:
        name: what the run and its final weights are called.
        method: name of the training system, see ``mmrbdc.methods``.
        family: name of the architecture family, see ``mmrbdc.families``.
        operators: name of the growth operator of every junction.
        parents: which weights of a member are grown: 'raw' or 'ema'.
        stages: from the narrowest to the target.
        reference_epochs: length of the training from scratch that costs are compared with.
        train_samples: samples in one epoch; None where only the data set knows.
        depth_operator: how depth grows at junctions where it does: 'stack', 'adjacent' or
            'adjacent-last'.
        warmup: epochs of warm-up after a junction; None for the recipe's.
        schedule: 'stage' where every stage has the whole schedule of the recipe; 'epochs' or
            'flops' where the run has it once, and a stage the part at its share of the run's epochs
            or FLOPs.
        steps: all that the method may take, in order.
        may_skip: numbers of stages that the method may leave out.
        progression: of a method that makes its own stages; ``None`` for others.
        limit: FLOPs or iterations that the run's one schedule counts to; ``None`` for what all
            stages sum to.
        average: decay of the moving average that a growing model keeps; ``None`` for none.
    """

    name: str
    method: str
    family: str
    operators: tuple[str, ...]
    parents: str
    stages: tuple[Stage, ...]
    reference_epochs: float
    train_samples: int | None
    depth_operator: str = "stack"
    warmup: float | None = None
    schedule: str = "stage"
    steps: tuple[Step, ...] = ()
    may_skip: frozenset[int] = frozenset()
    progression: Progression | None = None
    limit: float | None = None
    average: float | None = None

    def warmup_of(self, stage: int) -> float | None:
        """Epochs of a stage's warm-up; None for the recipe's."""
        own = self.stages[stage].warmup
        return own if own is not None else self.warmup if stage else None


def with_epochs(protocol: Protocol, epochs: Sequence[float]) -> Protocol:
    """Copy a protocol, its stages ``epochs`` long (one figure per stage)."""
    stages = [
        replace(stage, epochs=length, iters=None)
        for stage, length in zip(protocol.stages, epochs, strict=True)
    ]
    return replace(protocol, stages=tuple(stages))


def check_image_sizes(stages: Sequence[Stage], target: tuple[int, int]) -> None:
    """Check that images never become smaller and that the last stage sees the target's.

    Args:
        stages: all stages; those without an image size have the target's.
        target: height and width of the config's images in pixels.

    Raises:
        PlanError: they fall, the last stage has others, or the config's images are not square.
    """
    if all(stage.img_size is None for stage in stages):
        return
    height, width = target
    if height != width:
        raise PlanError(
            f"stages with an img_size need square images, but the config's are {height}x{width} px"
        )
    sizes = [stage.img_size or height for stage in stages]
    if sizes[-1] != height:
        raise PlanError(
            f"the last stage has img_size={sizes[-1]}; it must be the target itself, whose images "
            f"have {height} px: leave its img_size out"
        )
    for i, (low, high) in enumerate(itertools.pairwise(sizes)):
        if high < low:
            raise PlanError(
                f"the image size falls from {low} px in stages[{i}] to {high} px in "
                f"stages[{i + 1}]; it may only grow: set stages[{i}].img_size={high} or less"
            )
