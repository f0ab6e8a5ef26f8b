"""What a protocol costs: iterations, samples and training FLOPs of every stage."""

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from typing import Any

from mmrbdc.plan.errors import PlanError
from mmrbdc.plan.feed import Feed
from mmrbdc.plan.fit import fitted
from mmrbdc.plan.price import Price
from mmrbdc.plan.stage_model import StageModel, flops_in, stage_iters
from mmrbdc.plan.stages import Protocol, Stage
from mmrbdc.plan.steps import Grow, Step, Train, step_record


@dataclass(frozen=True)
class PlanRow:
    """One stage of a plan, or the reference.

    Args:
        name: directory of the stage.
        label: the model, for people.
        members: how many of them.
        width: width of one member in channels.
        fraction: its width as a fraction of the target's, such as '1/4'.
        params: parameters of one member.
        forward_flops: forward FLOPs per image of one member.
        train_flops_per_sample: training FLOPs per image of one member.
        epochs: length; the exact quotient of ``iters`` and the iterations of an epoch.
        iters: length in iterations.
        samples: samples that each member processes.
        flops: training FLOPs of all members together, ``growth_flops`` included.
        share: ``flops`` as a share of the reference's.
        depth: blocks of one member as a fraction of the target's, such as '1/2'.
        img_size: height and width of its images in pixels.
        inner: inner width of its blocks as a fraction of the target's, such as '1/2'.
        growth_flops: one-off FLOPs of growing the members.
        price: training FLOPs of a sample, member by member.
        may_skip: whether what the method finds on the way may leave the stage out.
        judging_flops: FLOPs that a search takes for judging its candidates.
        skipped: whether what was found has left the stage out; it costs nothing then.
        searching: sub-nets that it tries, as (blocks, pixels).
        candidate_flops: training FLOPs of an image of each of them.
    """

    name: str
    label: str
    members: int
    width: int
    fraction: str
    params: int
    forward_flops: int
    train_flops_per_sample: int
    epochs: float
    iters: int
    samples: int
    flops: int
    share: float
    depth: str = "1"
    img_size: tuple[int, int] | None = None
    inner: str = "1"
    growth_flops: int = 0
    price: Price | None = None
    may_skip: bool = False
    judging_flops: int = 0
    skipped: bool = False
    searching: tuple[tuple[int, int], ...] = ()
    candidate_flops: tuple[int, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain json types; the price only where members differ in it, or it changes, and what
        belongs to searches only where there is one.
        """
        values = asdict(self)
        price = values.pop("price")
        for key in ("judging_flops", "skipped", "searching", "candidate_flops"):
            if not values[key]:
                del values[key]
        uniform = self.price in (None, Price.constant([self.train_flops_per_sample] * self.members))
        return values if uniform else {**values, "price": price}

    @property
    def trained_flops(self) -> int:
        """``flops`` without what growing and judging take."""
        return self.flops - self.growth_flops - self.judging_flops

    def price_of(self, indices: Sequence[int]) -> Price:
        """The price of some of the members."""
        assert self.price is not None
        return self.price.of_members(indices)


@dataclass(frozen=True)
class SchedulePart:
    """A stage's part of one schedule over the whole run.

    Args:
        begin: where the stage begins in it, 0 to 1.
        iters: its length, in iterations as long as this stage's.
        first_iters: its length, in iterations as long as the first stage's.
    """

    begin: float
    iters: int
    first_iters: int


@dataclass(frozen=True)
class Plan:
    """A protocol with its price.

    Args:
        protocol: what was planned.
        feed: the data arithmetic that it was planned with.
        rows: one per stage, in order.
        reference: training the target from scratch.
    """

    protocol: Protocol
    feed: Feed
    rows: tuple[PlanRow, ...]
    reference: PlanRow

    @property
    def total_flops(self) -> int:
        """Training FLOPs of every member of every stage."""
        return sum(row.flops for row in self.rows if not row.skipped)

    @property
    def least_flops(self) -> int:
        """The total without the stages that may be left out; all of it where the method makes its
        stages, since the others change with what is left out.
        """
        if self.protocol.progression is not None:
            return self.total_flops
        return sum(row.flops for row in self.rows if not row.may_skip and not row.skipped)

    def part_of(self, stage: int) -> SchedulePart | None:
        """A stage's part of the run's one schedule; ``None`` where every stage has its own."""
        if self.protocol.schedule == "stage":
            return None
        by_epochs = self.protocol.schedule == "epochs"
        lengths = [row.iters if by_epochs else row.trained_flops for row in self.rows]
        taken = [
            0 if row.skipped else length for row, length in zip(self.rows, lengths, strict=True)
        ]
        ends = list(itertools.accumulate(taken, initial=0))
        whole = self.protocol.limit or ends[-1]
        iters = [row.iters * whole / length for row, length in zip(self.rows, lengths, strict=True)]
        return SchedulePart(ends[stage] / whole, round(iters[stage]), round(iters[0]))

    def price_of(self, step: Step) -> int:
        """Training FLOPs of one step, as far as it is known before it runs."""
        row = self.rows[step.stage]
        if isinstance(step, Train):
            trained = sum(row.price_of(step.members).spent(self.feed, row.iters))
            return trained + row.judging_flops
        return row.growth_flops // row.members if isinstance(step, Grow) else 0

    @property
    def share(self) -> float:
        """Total as a share of training the target from scratch."""
        return self.total_flops / self.reference.flops

    def to_dict(self) -> dict[str, Any]:
        """Plain json types; equal plans give equal dicts."""
        protocol = self.protocol
        return {
            "name": protocol.name,
            "method": protocol.method,
            "family": protocol.family,
            "operator": protocol.operators[0] if protocol.operators else None,
            "depth_operator": protocol.depth_operator,
            "parents": protocol.parents,
            "samples_per_epoch": self.feed.samples,
            "batch_size": self.feed.batch_size,
            "drop_last": self.feed.drop_last,
            "iters_per_epoch": self.feed.iters_per_epoch,
            "stages": [row.to_dict() for row in self.rows],
            "steps": [step_record(step, self.price_of(step)) for step in protocol.steps],
            "total_flops": self.total_flops,
            "least_flops": self.least_flops,
            "reference": self.reference.to_dict(),
            "share": self.share,
        }


def make_plan(
    protocol: Protocol,
    stage_models: Sequence[StageModel],
    *,
    samples: int,
    batch_size: int,
    drop_last: bool = False,
    reference_model: StageModel,
) -> Plan:
    """Price every stage of ``protocol``, and the training from scratch that it is compared with.

    Args:
        protocol: the stages and the length of the reference.
        stage_models: one member of each stage, in order.
        samples: samples in one epoch, over all processes.
        batch_size: samples in one iteration, over all processes.
        drop_last: whether the loader leaves out an incomplete last batch.
        reference_model: the target as training from scratch would see it.
    """
    if len(stage_models) != len(protocol.stages):
        raise PlanError(f"{len(stage_models)} models for {len(protocol.stages)} stages")
    feed = Feed(samples, batch_size, drop_last)
    scratch = Stage(1, Fraction(1), epochs=protocol.reference_epochs)
    reference_flops = flops_in(scratch, reference_model, feed, stage_iters(scratch, feed))
    protocol = fitted(protocol, stage_models, feed, reference_model)
    rows = tuple(
        replace(
            _row(_name(i, stage, model), stage, model, feed, reference_flops),
            may_skip=i in protocol.may_skip,
        )
        for i, (stage, model) in enumerate(zip(protocol.stages, stage_models, strict=True))
    )
    reference = _row("scratch", scratch, reference_model, feed, reference_flops)
    return Plan(protocol, feed, rows, reference)


def _name(i: int, stage: Stage, model: StageModel) -> str:
    return f"stage{i}{'_search' * bool(stage.search)}_{stage.members}x{model.width}"


def _row(name: str, stage: Stage, model: StageModel, feed: Feed, reference_flops: int) -> PlanRow:
    iters = stage_iters(stage, feed)
    flops = flops_in(stage, model, feed, iters)
    return PlanRow(
        name=name,
        label=model.label,
        members=stage.members,
        width=model.width,
        fraction=str(stage.width),
        params=model.params,
        forward_flops=model.forward_flops,
        train_flops_per_sample=model.train_flops_per_sample,
        epochs=iters / feed.iters_per_epoch,
        iters=iters,
        samples=feed.samples_in(iters),
        flops=flops,
        share=flops / reference_flops,
        depth=str(stage.depth),
        img_size=model.img_size,
        inner=str(stage.inner),
        growth_flops=stage.members * model.growth_flops,
        price=model.price_of(stage.members),
        judging_flops=model.judging_flops,
        candidate_flops=model.candidate_flops,
        skipped=stage.skipped,
        searching=tuple((one.depth, one.img_size) for one in stage.search.candidates)
        if stage.search
        else (),
    )
