"""Per-block LayerNorm statistics that ramp into joint ones after a junction.

A coupled child's LayerNorms take mean and variance over all its channels, where each parent took
them over its own. With the statistics of every parent's block apart the child computes exactly the
mean of its parents' logits; blending them slowly into the joint ones starts there and ends at a
plain model.
"""

from typing import Any, cast

import torch
from mmengine.hooks import EMAHook, Hook
from mmengine.runner import Runner
from torch import Tensor, nn

from mmrbdc.registry import HOOKS


def set_norm_blend(model: nn.Module, groups: int, a: float) -> None:
    """Make every LayerNorm below ``model`` blend the statistics of its blocks with the joint ones.

    With m_b, v_b the mean and variance (biased) of block b's channels and m, v those of all, a
    channel x of block b becomes

    ``(x - (1 - a) m_b - a m) / sqrt((1 - a) v_b + a v + eps) * weight + bias``.

    Tensors, their names and copies by ``deepcopy`` are not affected. It may be called again with
    another ``a``.

    Args:
        model: A classifier, siblings, or a wrapper around them. Of a coupled model every LayerNorm
            works on channels that lie parent behind parent.
        groups: Number of parents, whose equal slices are the blocks.
        a: From 0 (each block apart) to 1 (joint). At 1 and above every LayerNorm is PyTorch's own
            again.

    Raises:
        ValueError: Fewer than two groups, a negative ``a``, no LayerNorm, one of another class or
            one whose channels do not divide into the groups; nothing is changed then.
    """
    if groups < 2:
        raise ValueError(f"norm statistics of {groups} block(s): a coupled model has at least 2")
    if not a >= 0:
        raise ValueError(f"norm statistics cannot be blended with a={a}; it goes from 0 to 1")
    norms = {name: m for name, m in model.named_modules() if isinstance(m, nn.LayerNorm)}
    if not norms:
        raise ValueError(
            f"{type(model).__name__} has no LayerNorm whose statistics could be ramped; BatchNorm "
            "is exact already: set protocol.norm_ramp=0"
        )
    for name, norm in norms.items():
        if type(norm) not in (nn.LayerNorm, BlockLayerNorm):
            raise ValueError(
                f"'{name}' is a {type(norm).__name__}; only nn.LayerNorm over the last dimension "
                "can have statistics by block: set protocol.norm_ramp=0"
            )
        if len(norm.normalized_shape) != 1 or norm.normalized_shape[0] % groups:
            raise ValueError(
                f"'{name}' normalises over {tuple(norm.normalized_shape)}, which is not "
                f"{groups} equal blocks of channels; parents of unequal width cannot be ramped: "
                "set protocol.norm_ramp=0"
            )
    for norm in norms.values():
        if a < 1:
            norm.__class__ = BlockLayerNorm
            block = cast(BlockLayerNorm, norm)
            block.groups, block.blend = groups, a
        elif "blend" in vars(norm):
            del norm.groups, norm.blend
            norm.__class__ = nn.LayerNorm


class BlockLayerNorm(nn.LayerNorm):
    """A LayerNorm while its statistics are blended; only :func:`set_norm_blend` makes it.

    Attributes:
        groups: Number of blocks.
        blend: Share of the joint statistics, from 0 to below 1.
    """

    groups: int
    blend: float

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (..., channels) in float32 or wider."""
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        blocks = wide.unflatten(-1, (self.groups, -1))
        var, mean = torch.var_mean(blocks, dim=-1, correction=0, keepdim=True)
        joint_mean = mean.mean(-2, keepdim=True)
        # Blocks are equally large: the joint variance is within blocks plus between them.
        joint_var = var.mean(-2, keepdim=True) + mean.var(-2, correction=0, keepdim=True)
        mean = mean + self.blend * (joint_mean - mean)
        var = var + self.blend * (joint_var - var)
        normal = ((blocks - mean) * torch.rsqrt(var + self.eps)).flatten(-2)
        if self.weight is not None:
            normal = normal * self.weight
        if self.bias is not None:
            normal = normal + self.bias
        return normal.to(x.dtype)


@HOOKS.register_module()
class JointNormRampHook(Hook):
    """Ramp the LayerNorms of a coupled stage from their parents' statistics to joint ones.

    In iteration t of the stage the share of the joint statistics is ``min(1, t / iters)``, see
    :func:`set_norm_blend`; a validation has that of the next iteration. It follows from the
    iteration alone, so a resumed run has it right. The copy that an ``EMAHook`` keeps goes along.

    Args:
        groups: Number of parents of each member.
        iters: Iterations until the statistics are joint; fewer than the stage has, since a member's
            file is a plain model.
    """

    def __init__(self, groups: int, iters: int) -> None:
        if iters < 1:
            raise ValueError(
                f"JointNormRampHook: iters is {iters}; it must be at least 1, and a stage without "
                "a ramp has no such hook"
            )
        self.groups = groups
        self.iters = iters
        self._joint = False

    def before_train(self, runner: Runner) -> None:
        """Check the length; set the statistics for a validation before the first iteration."""
        if self.iters >= runner.max_iters:
            raise ValueError(
                f"the LayerNorm ramp takes {self.iters} iterations and the stage has only "
                f"{runner.max_iters}, but its members must end as plain models; shorten "
                "protocol.norm_ramp"
            )
        self._set(runner)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Set the statistics of this iteration."""
        self._set(runner)

    def before_val_epoch(self, runner: Runner) -> None:
        """Set the statistics that the model has come to."""
        self._set(runner)

    def _set(self, runner: Runner) -> None:
        if self._joint:
            return
        a = runner.iter / self.iters
        averages = [hook.ema_model for hook in runner.hooks if isinstance(hook, EMAHook)]
        for model in (runner.model, *averages):
            set_norm_blend(model, self.groups, a)
        self._joint = a >= 1
