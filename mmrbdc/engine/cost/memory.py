"""How much memory a training step needs: counted on tensors without values, on any machine."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import OPTIMIZERS, DefaultScope
from mmpretrain.structures import DataSample
from torch import nn
from torch._subclasses import FakeTensorMode
from torch.distributed._tools.mem_tracker import MemTracker
from torch.overrides import TorchFunctionMode

from mmrbdc.config_parts import as_list, type_name
from mmrbdc.engine.cost.on_meta import build_on_meta

_OF_SUPERNETS = ("candidates", "current", "blocks", "draw_seed", "stage", "fresh")


@dataclass(frozen=True)
class StepMemory:
    """Bytes on one device in a training step.

    Attributes:
        weights: parameters and buffers.
        gradients: of the parameters that train, when the backward pass has ended.
        buckets: copies of the gradients that several processes send each other.
        optimizer: what it keeps of the parameters that train.
        average: a moving average of the weights.
        activations: what is there besides at the peak, most of it kept by the forward pass for the
            backward pass, with the gradients that there are by then; it grows with the batch.
        accumulates: whether gradients of the batch before are still there.
        batch: images of the step.
    """

    weights: int
    gradients: int
    buckets: int
    optimizer: int
    average: int
    activations: int
    accumulates: bool
    batch: int

    @property
    def fixed(self) -> int:
        """Bytes at the peak that do not grow with the batch."""
        kept = self.gradients if self.accumulates else 0
        return self.weights + self.buckets + self.optimizer + self.average + kept

    @property
    def peak(self) -> int:
        """Bytes at the peak."""
        return self.fixed + max(self.activations, 0 if self.accumulates else self.gradients)

    def largest_batch(self, available: float) -> int:
        """Images whose step fits into so many bytes; 0 where not one does."""
        return max(0, int((available - self.fixed) * self.batch // max(1, self.activations)))


def step_memory(
    run: Config,
    image_size: tuple[int, int],
    batch: int,
    *,
    amp: bool = False,
    processes: int = 1,
    average: bool = False,
) -> StepMemory:
    """Count the memory of a training step of a stage's members, in lockstep.

    Forward and backward pass run on fake tensors under torch's memory tracker. Members are alike
    but for what each keeps frozen, and what their forward passes keep is there until the backward
    pass, which comes to one after the other: they are counted one by one. The memory of torch, of
    the driver and of libraries' workspaces is not in it, nor what the allocator loses between
    blocks.

    Args:
        run: config of the stage's run, see ``configs.run_config``.
        image_size: height and width of an image in pixels.
        batch: images on this device.
        amp: forward under bfloat16 autocast as a GPU does it.
        processes: that train together, each on a device of its own.
        average: count a moving average of the weights, beside those that hooks of the config keep.
    """
    model = {k: v for k, v in run.model.to_dict().items() if k not in _OF_SUPERNETS}
    model["type"] = "mmrbdc.Siblings"  # a supernet that trains all of its blocks
    seeds, frozen = model["seeds"], model.get("frozen") or [()] * len(model["seeds"])
    amp = amp or bool(run.optim_wrapper.get("autocast_dtype"))
    known: dict[tuple[str, ...], TracedStep] = {}
    found = []
    for seed, parts in zip(seeds, frozen, strict=True):
        key = tuple(parts)
        if key not in known:
            one = dict(model, seeds=[seed], indices=[0], init_cfgs=None, frozen=[list(parts)])
            known[key] = _of_member(one, image_size, batch, amp)
        found.append(known[key])
    together = TracedStep(
        weights=sum(one.weights for one in found),
        gradients=sum(one.gradients for one in found),
        kept=sum(one.kept for one in found),
        more=max(one.more for one in found),
    )
    return memory_of(together, run, batch, processes=processes, average=average)


def memory_of(
    step: "TracedStep", run: Config, batch: int, *, processes: int, average: bool = False
) -> StepMemory:
    """The memory of a step with what a run's config keeps besides.

    Args:
        step: forward and backward pass.
        run: config of the run.
        batch: images of the step.
        processes: that train together, each on a device of its own.
        average: count a moving average of the weights, beside those that hooks of the config keep.
    """
    average |= any(type_name(hook) == "EMAHook" for hook in as_list(run.get("custom_hooks")))
    return StepMemory(
        weights=step.weights,
        gradients=step.gradients,
        buckets=step.gradients if processes > 1 else 0,
        optimizer=int(step.gradients * kept_by_optimizer(run.optim_wrapper.optimizer)),
        average=step.weights if average else 0,
        activations=step.kept + step.more,
        accumulates=run.optim_wrapper.get("accumulative_counts", 1) > 1,
        batch=batch,
    )


def fake_copies(model: BaseModel, device: str) -> BaseModel:
    """Give a model's parameters and buffers fakes on a device; under a ``FakeTensorMode``.

    What a module holds besides stays where it was built, as under ``Module.to``.
    """
    for module in model.modules():
        tensors: dict[str, Any]
        for tensors in (module._parameters, module._buffers):
            for name, value in tensors.items():
                if value is not None:
                    tensors[name] = _fake(value, device)
    model._set_device(torch.device(device))  # of preprocessors
    return model


def _fake(value: torch.Tensor, device: str) -> Any:
    fake = torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device=device)
    return nn.Parameter(fake, value.requires_grad) if isinstance(value, nn.Parameter) else fake


def fake_images(image_size: Sequence[int], batch: int) -> dict[str, Any]:
    """A batch as a loader gives it: uint8 images (N, 3, H, W) and their labels."""
    samples = [DataSample().set_gt_label(torch.zeros(1, dtype=torch.int64)) for _ in range(batch)]
    return dict(inputs=torch.zeros(batch, 3, *image_size, dtype=torch.uint8), data_samples=samples)


class _NormsInFloat32(TorchFunctionMode):
    """A GPU's autocast computes layer norms in float32, a CPU's does not."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        if func is nn.functional.layer_norm:
            args = (args[0].float(), *args[1:])
        return func(*args, **(kwargs or {}))


class TracedStep(NamedTuple):
    """Bytes of one model: ``kept`` after the forward pass, ``more`` beyond that at the peak."""

    weights: int
    gradients: int
    kept: int
    more: int


def _of_member(
    config: Mapping[str, Any], image_size: tuple[int, int], batch: int, amp: bool
) -> TracedStep:
    """Memory of one member's forward and backward pass."""

    def loss_of(model: Any) -> torch.Tensor:
        data = model.data_preprocessor(fake_images(image_size, batch), training=True)
        with autocast_as_on_gpu(amp):
            return model.parse_losses(model(**data, mode="loss"))[0]

    return traced_step(build_on_meta(config), loss_of, "mmpretrain")


def traced_step(built: nn.Module, loss_of: Callable[[Any], torch.Tensor], scope: str) -> TracedStep:
    """Memory of a model's forward and backward pass, on fake tensors.

    Args:
        built: on the ``meta`` device.
        loss_of: what makes a loss with it, tensors made there being fake.
        scope: MMEngine's default scope meanwhile.
    """
    with FakeTensorMode(), DefaultScope.overwrite_default_scope(scope):
        model: Any = fake_copies(cast(BaseModel, built), "cpu").train()
        _hold_frozen_as_buffers(model)
        tracker = MemTracker()
        tracker.track_external(model)
        with tracker:
            loss = loss_of(model)
            (forward,) = (dict(kinds) for kinds in tracker.get_tracker_snapshot().values())
            loss.backward()
        (peak,) = tracker.get_tracker_snapshot("peak").values()
        weights = [*model.parameters(), *model.buffers()]
        trained = [p for p in model.parameters() if p.grad is not None]
    kept = forward["Total"] - _bytes(weights)
    return TracedStep(_bytes(weights), _bytes(trained), kept, peak["Total"] - forward["Total"])


@contextmanager
def autocast_as_on_gpu(on: bool) -> Iterator[None]:
    """bfloat16 autocast of a CPU that keeps in float32 what a GPU's keeps."""
    with torch.autocast("cpu", torch.bfloat16, on), _NormsInFloat32() if on else nullcontext():
        yield


def _hold_frozen_as_buffers(model: nn.Module) -> None:
    """Torch's tracker expects a gradient of every parameter."""
    for module in model.modules():
        for name, value in list(module._parameters.items()):
            if value is not None and not value.requires_grad:
                module._buffers[name] = module._parameters.pop(name)


def _bytes(tensors: Sequence[torch.Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def kept_by_optimizer(optimizer: Mapping[str, Any]) -> float:
    """Bytes that an optimizer of that config keeps for a byte of a parameter, seen on one."""
    parameter = nn.Parameter(torch.ones(64, 64))
    parameter.grad = torch.ones_like(parameter)
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        built = OPTIMIZERS.build(dict(optimizer), default_args=dict(params=[parameter]))
    built.step()
    kept = [v for v in built.state[parameter].values() if isinstance(v, torch.Tensor)]
    return _bytes([value for value in kept if value.numel() > 1]) / _bytes([parameter])
