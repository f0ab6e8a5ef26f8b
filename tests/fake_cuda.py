"""Models and batches on a GPU that is not there: fake tensors, which know shape, type and device.

An operator on tensors of two devices raises, and so does whatever asks for a value: a program that
waits for the GPU in the middle of a step is seen as one.
"""

from contextlib import contextmanager

import torch
from mmengine.registry import DefaultScope
from torch._subclasses import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from mmrbdc.engine.cost.plan_inputs import plan_inputs
from mmrbdc.engine.stages.stage_setup import stage_runs
from mmrbdc.methods import parse_protocol
from mmrbdc.plan import make_plan


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


def runs_of(cfg):
    """(row of the plan, config of its run) of every stage of a staged config."""
    protocol = parse_protocol(cfg, name="staged")
    plan = make_plan(protocol, **plan_inputs(cfg, protocol))
    found = ((row, run) for row, _, run in stage_runs(cfg, plan, seed=0))
    # The initialiser of a grown member, which these are not.
    return [(row, without_init(run)) for row, run in found if not row.skipped]


def without_init(run):
    run.model.init_cfgs = [None] * len(run.model.seeds)
    return run
