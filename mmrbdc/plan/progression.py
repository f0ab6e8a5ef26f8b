"""How a method that makes its own stages says them: the grid that a model grows on, and how far
each stage may look.

A config says it beside the method::

    protocol = dict(
        method='autoprog', family='deit', reference_epochs=300, train_samples=1281167,
        progression=dict(stages=4, scale=0.5, budget=0.7))
"""

from dataclasses import dataclass

from mmrbdc.search import Grid, SubNet, share

LOOK_BACK = 0.01
"""Time constant of the moving average as a share of the run. Published are 2,500 steps, 2 % of the
shortest and 0.7 % of the longest run."""

MOGROW = ("all", "new", "off")
COSTS = ("flops", "time")
LENGTHS = ("budget", "epochs")


@dataclass(frozen=True)
class Ramp:
    """A stage's regularisation, as shares of the recipe's.

    Attributes:
        magnitude: of RandAugment's.
        drop_path: of the backbone's drop-path rate.
        erasing: of random erasing's probability.
    """

    magnitude: float
    drop_path: float
    erasing: float


@dataclass(frozen=True)
class Search:
    """What a searching stage tries: sub-nets of one elastic supernet.

    Attributes:
        number: of the stage of the grid, from 0.
        current: blocks of the model that the supernet is grown from.
        candidates: in the order in which they are listed.
        evaluations: how often all candidates are judged, in the last epoch of the search.
        batches: training batches of one evaluation.
        cost: ``'flops'`` or ``'time'``: what a candidate costs.
    """

    number: int
    current: int
    candidates: tuple[SubNet, ...]
    evaluations: int
    batches: int
    cost: str = "flops"

    def points(self, iters: int, iters_per_epoch: int) -> list[int]:
        """Iterations behind which the candidates are judged: at the start of the last epoch, and
        after each of equal parts of it.

        Args:
            iters: of the search.
            iters_per_epoch: iterations of an epoch.
        """
        first, parts = max(0, iters - iters_per_epoch), max(1, self.evaluations - 1)
        ends = (first + (iters - first) * i // parts for i in range(self.evaluations))
        return sorted(set(ends))


@dataclass(frozen=True)
class Progression:
    """A model that grows in depth and image size over the stages of a grid.

    Attributes:
        grid: depth in blocks and image size in pixels of each stage; the last is the target.
        lengths: ``'budget'`` where the run spends a share of the reference's FLOPs; ``'epochs'``
            where it takes the reference's epochs, whatever they cost.
        budget: that share; ``None`` for ``'epochs'``.
        mogrow: which weights a grown model takes from the moving average: ``'all'``, those of
            ``'new'`` blocks, or none (``'off'``).
        search_epochs: length of each search; 0 for none.
        evaluations: how often the candidates of a search are judged.
        batches: training batches of one evaluation.
        cost: ``'flops'`` or ``'time'``: what a candidate costs.
        ramp: where the regularisation begins, see :class:`Ramp`; the last stage has all of it.
    """

    grid: Grid
    lengths: str
    budget: float | None
    mogrow: str = "all"
    search_epochs: float = 0.0
    evaluations: int = 5
    batches: int = 50
    cost: str = "flops"
    ramp: Ramp = Ramp(1.0, 1.0, 1.0)

    @property
    def stages(self) -> int:
        """Stages of the grid."""
        return len(self.grid.depths)

    @property
    def blocks(self) -> int:
        """Blocks of the target."""
        return self.grid.depths[-1]

    @property
    def schedule(self) -> str:
        """How the run's one schedule counts: by FLOPs spent, or by epochs."""
        return "flops" if self.lengths == "budget" else "epochs"

    def ramp_of(self, stage: int) -> Ramp:
        """Regularisation of a stage of the grid: linearly from ``ramp`` to all of it."""
        first = (self.ramp.magnitude, self.ramp.drop_path, self.ramp.erasing)
        return Ramp(*(share(stage, self.stages, scale) for scale in first))
