"""Optimisation of siblings: clipping that never couples members, few parameter groups, bf16
autocast.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.logging import MMLogger
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from torch import nn

from mmrbdc.engine.hooks.finite_loss import NonFiniteLoss
from mmrbdc.models.siblings import Siblings
from mmrbdc.models.wrappers import unwrapped
from mmrbdc.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS

AUTOCAST_DTYPES = {None: None, "bfloat16": torch.bfloat16}


@OPTIM_WRAPPERS.register_module()
class SiblingsOptimWrapper(OptimWrapper):
    """MMEngine's ``OptimWrapper`` with the gradients of every member clipped by the member's own
    norm.

    Args:
        autocast_dtype: ``'bfloat16'`` to run the forward pass under autocast, without a loss
            scaler; ``None`` for full precision. float16 is not offered: with one loss scaler an
            inf in one member would skip every member's step.
        skip_nonfinite: how many optimizer steps of a member may be left out in a stage because its
            gradient is NaN or infinite; the other members take theirs. 0 checks nothing.
        kwargs: as for ``OptimWrapper``.
    """

    def __init__(
        self,
        *args: Any,
        autocast_dtype: str | None = None,
        skip_nonfinite: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        if autocast_dtype not in AUTOCAST_DTYPES:
            raise ValueError(
                f"SiblingsOptimWrapper: autocast_dtype is 'bfloat16' or None, got "
                f"{autocast_dtype!r}; float16 needs a loss scaler, and members must not share one"
            )
        self.autocast_dtype = AUTOCAST_DTYPES[autocast_dtype]
        self.skip_nonfinite = skip_nonfinite
        self._members: list[tuple[int, list[nn.Parameter]]] = []
        self._norms: dict[str, torch.Tensor] = {}

    def initialize_count_status(self, model: nn.Module, init_counts: int, max_counts: int) -> None:
        """Take the members' parameters from the model, beside what ``OptimWrapper`` does here."""
        super().initialize_count_status(model, init_counts, max_counts)
        siblings = unwrapped(model)
        if not isinstance(siblings, Siblings):
            raise ValueError(
                f"SiblingsOptimWrapper trains mmrbdc.Siblings, got {type(siblings).__name__}: "
                "use MMEngine's OptimWrapper for other models"
            )
        self._members = [
            (index, list(member.parameters()))
            for index, member in zip(siblings.indices, siblings.members, strict=True)
        ]

    def step(self, **kwargs: Any) -> None:
        """Take the optimizer step, without the members whose gradient is not finite."""
        if self.skip_nonfinite:
            for (index, parameters), finite in zip(self._members, self._finite(), strict=True):
                if not finite:
                    self._leave_out(index, parameters)
        super().step(**kwargs)

    def _finite(self) -> list[bool]:
        """Whether each member's gradient is finite, read from the GPU at once."""
        found = []
        for _, parameters in self._members:
            gradients = [p.grad for p in parameters if p.grad is not None]
            norms = torch._foreach_norm(gradients) if gradients else [torch.zeros(())]
            found.append(torch.stack(norms).isfinite().all().to(get_device()))
        return torch.stack(found).tolist()

    def _leave_out(self, index: int, parameters: list[nn.Parameter]) -> None:
        for parameter in parameters:
            parameter.grad = None
        name = f"skipped_steps_member{index}"
        skipped = self.message_hub.runtime_info.get(name, 0) + 1
        self.message_hub.update_info(name, skipped)
        if skipped > self.skip_nonfinite:
            raise NonFiniteLoss(
                f"member {index}: its gradient was NaN or infinite in {skipped} steps, and "
                f"optim_wrapper.skip_nonfinite is {self.skip_nonfinite}; lower the learning rate "
                "or clip gradients (optim_wrapper.clip_grad)"
            )
        MMLogger.get_current_instance().warning(
            f"member {index}: gradient is NaN or infinite, step left out ({skipped} of at most "
            f"{self.skip_nonfinite})"
        )

    def _clip_grad(self) -> None:
        for index, parameters in self._members:
            with_grad = [p for p in parameters if p.requires_grad and p.grad is not None]
            if not with_grad:
                continue
            norm = self.clip_func(with_grad, **self.clip_grad_kwargs)
            if norm is not None:
                self._norms[f"member{index}.{self.grad_name}"] = norm

    def take_norms(self) -> dict[str, torch.Tensor]:
        """Norms of members' gradients before they were clipped, of steps since they were last
        taken; :class:`mmrbdc.engine.hooks.finite_loss.FiniteLossHook` has them logged.
        """
        norms, self._norms = self._norms, {}
        return norms

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Gradient accumulation as in ``OptimWrapper``, under autocast where it is asked for."""
        with (
            super().optim_context(model),
            torch.autocast(
                device_type=get_device(),
                dtype=self.autocast_dtype,
                enabled=self.autocast_dtype is not None,
            ),
        ):
            yield


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class MergedGroupsConstructor(DefaultOptimWrapperConstructor):
    """MMEngine's constructor with equal parameter groups merged into one.

    ``paramwise_cfg`` makes one group a parameter, which turns one fused optimizer step into
    hundreds of small ones. Groups with the same options are one group here; every parameter keeps
    its options.
    """

    def add_params(
        self,
        params: list[dict],
        module: nn.Module,
        prefix: str = "",
        is_dcn_module: int | float | None = None,
    ) -> None:
        """Collect the groups of ``module``; at the root, merge those with equal options."""
        if prefix:
            super().add_params(params, module, prefix, is_dcn_module)
            return
        with at_level(logging.WARNING):  # a line a parameter, for every member
            super().add_params(params, module, prefix, is_dcn_module)
        params[:] = merged_groups(params)
        for group in params:
            options = {name: value for name, value in group.items() if name != "params"}
            MMLogger.get_current_instance().info(
                f"optimizer group of {len(group['params'])} tensors: {options or 'defaults'}"
            )


@contextmanager
def at_level(level: int) -> Iterator[None]:
    """Keep what is below ``level`` out of the current log."""
    logger = MMLogger.get_current_instance()
    before = logger.level
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.setLevel(before)


def merged_groups(groups: list[dict]) -> list[dict]:
    """Return the optimizer's groups with those of equal options joined, in the order of their
    first parameters.
    """
    merged: dict[tuple, dict] = {}
    for group in groups:
        options = {name: value for name, value in group.items() if name != "params"}
        target = merged.setdefault(tuple(sorted(options.items())), dict(params=[], **options))
        target["params"].extend(group["params"])
    return list(merged.values())
