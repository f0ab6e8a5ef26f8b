"""Stages, budgets and FLOPs: what a protocol costs before anything runs."""

from mmrbdc.plan.cost import Plan, PlanRow, SchedulePart, make_plan
from mmrbdc.plan.errors import PlanError
from mmrbdc.plan.feed import Feed
from mmrbdc.plan.flops import both_flops, forward_flops, training_flops, training_flops_per_sample
from mmrbdc.plan.price import Price
from mmrbdc.plan.progression import Progression, Ramp, Search
from mmrbdc.plan.removed import without_removed
from mmrbdc.plan.show import plan_lines, plan_table
from mmrbdc.plan.solve import DEFAULT_RATIO, ratio_words, solve_lengths
from mmrbdc.plan.stage_model import StageModel
from mmrbdc.plan.stages import Protocol, Stage, check_image_sizes, with_epochs
from mmrbdc.plan.steps import Grow, Member, Outcome, Publish, Score, Step, Train

__all__ = [
    "DEFAULT_RATIO",
    "Feed",
    "Grow",
    "Member",
    "Outcome",
    "Plan",
    "PlanError",
    "PlanRow",
    "Price",
    "Progression",
    "Protocol",
    "Publish",
    "Ramp",
    "SchedulePart",
    "Score",
    "Search",
    "Stage",
    "StageModel",
    "Step",
    "Train",
    "both_flops",
    "check_image_sizes",
    "forward_flops",
    "make_plan",
    "plan_lines",
    "plan_table",
    "ratio_words",
    "solve_lengths",
    "training_flops",
    "training_flops_per_sample",
    "with_epochs",
    "without_removed",
]
