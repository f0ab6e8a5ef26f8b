"""What a plan needs to know of a stage's models, and what training them costs."""

from dataclasses import dataclass

from mmrbdc.plan.errors import PlanError
from mmrbdc.plan.feed import Feed
from mmrbdc.plan.price import Price
from mmrbdc.plan.stages import Stage


@dataclass(frozen=True)
class StageModel:
    """What the plan needs to know of one model.

    Args:
        label: short description for people, such as 'deit 12x192, 3 heads'.
        width: its width in channels, as it appears in directory names.
        params: number of parameters.
        forward_flops: FLOPs of one forward pass per image.
        train_flops_per_sample: FLOPs of forward and backward per image.
        img_size: height and width of an image in pixels, for people; None where nobody asks.
        growth_flops: FLOPs that growing one member takes before its first step.
        price: what training costs where members differ in it, or it changes on the way; None where
            every member costs ``train_flops_per_sample`` throughout.
        judging_flops: FLOPs that a search takes for judging its candidates.
        candidate_flops: training FLOPs of an image of each of them.
    """

    label: str
    width: int
    params: int
    forward_flops: int
    train_flops_per_sample: int
    img_size: tuple[int, int] | None = None
    growth_flops: int = 0
    price: Price | None = None
    judging_flops: int = 0
    candidate_flops: tuple[int, ...] = ()

    def price_of(self, members: int) -> Price:
        """The price of so many of them.

        Raises:
            PlanError: there is one for another number of members.
        """
        price = self.price or Price.constant([self.train_flops_per_sample] * members)
        if price.members != members:
            raise PlanError(f"{self.label} has prices for {price.members} members, not {members}")
        return price


def stage_iters(stage: Stage, feed: Feed) -> int:
    """Length of a stage in iterations, whichever way it was given."""
    if stage.iters is not None:
        return stage.iters
    assert stage.epochs is not None
    return feed.iters(stage.epochs)


def flops_in(stage: Stage, model: StageModel, feed: Feed, iters: int) -> int:
    """Training FLOPs of all members of a stage in ``iters`` iterations, what growing and judging
    take included.
    """
    trained = sum(model.price_of(stage.members).spent(feed, iters))
    return trained + stage.members * model.growth_flops + model.judging_flops
