"""Models and batches on a GPU that is not there: fake tensors, which know shape, type and device.

An operator on tensors of two devices raises, and so does whatever asks for a value: a program that
waits for the GPU in the middle of a step is seen as one.
"""

from contextlib import contextmanager
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.structures import DataSample
from torch import nn
from torch._subclasses import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from mmrbdc.engine.configs.run_config import run_config
from mmrbdc.engine.configs.stage_view import stage_configs
from mmrbdc.engine.cost.plan_inputs import plan_inputs
from mmrbdc.engine.stages.stage_setup import stage_parts
from mmrbdc.methods import parse_protocol
from mmrbdc.plan import make_plan

CUDA = torch.device("cuda")


class Waits(TorchDispatchMode):
    """Notes the shape of every tensor for whose copy, from or to the GPU, the host waits."""

    def __init__(self):
        super().__init__()
        self.down = []
        self.up = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is torch.ops.aten._to_copy.default and kwargs.get("device"):
            way = args[0].device.type, torch.device(kwargs["device"]).type
            if way == ("cuda", "cpu"):
                self.down.append(tuple(args[0].shape))
            if way == ("cpu", "cuda") and not kwargs.get("non_blocking"):
                self.up.append(tuple(args[0].shape))
        return func(*args, **kwargs)


@contextmanager
def fake_cuda(scope="mmpretrain"):
    """Every tensor made here is fake; yields the copies that are waited for."""
    with FakeTensorMode(), DefaultScope.overwrite_default_scope(scope), Waits() as waits:
        yield waits


def move_to_fake_cuda(model):
    """Give a model's parameters and buffers fakes on the GPU, as ``Module.to`` does to real ones.

    What a module holds besides stays where it was built, as it would.
    """
    for module in model.modules():
        for tensors in (module._parameters, module._buffers):
            for name, value in tensors.items():
                if value is not None:
                    tensors[name] = _fake(value)
    model._set_device(CUDA)  # of preprocessors
    return model


def _fake(value):
    fake = torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device=CUDA)
    return nn.Parameter(fake, value.requires_grad) if isinstance(value, nn.Parameter) else fake


def stage_runs(cfg):
    """(row of the plan, config of its run) of every stage of a staged config, or of its file."""
    if isinstance(cfg, str | Path):
        cfg = Config.fromfile(cfg)
    protocol = parse_protocol(cfg, name="staged")
    plan = make_plan(protocol, **plan_inputs(cfg, protocol))
    configs = stage_configs(cfg, plan.protocol, None)
    for index, (config, row) in enumerate(zip(configs, plan.rows, strict=True)):
        if row.skipped:
            continue
        yield (
            row,
            run_config(
                config,
                stage_index=index,
                row=row,
                iters_per_epoch=plan.feed.iters_per_epoch,
                warmup=plan.protocol.warmup_of(index),
                seed=0,
                indices=range(row.members),
                grown=[None] * row.members,
                **stage_parts(plan.protocol, plan, index),
            ),
        )


def images(size, count=4):
    """A batch as a loader gives it: uint8 images (N, 3, H, W) and their labels, on the CPU."""
    samples = [DataSample().set_gt_label(torch.zeros(1, dtype=torch.int64)) for _ in range(count)]
    return dict(inputs=torch.zeros(count, 3, *size, dtype=torch.uint8), data_samples=samples)
