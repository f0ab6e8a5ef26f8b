"""A real checkpoint of stock MMEngine, trained for a few iterations under EMAHook."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.hooks import EMAHook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn


class ToyModel(BaseModel):
    """A linear layer and a BatchNorm: parameters, buffers and a counter."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 3)
        self.bn = nn.BatchNorm1d(3)

    def forward(self, x, mode="tensor"):
        """Return the features, or a loss."""
        x = self.bn(self.linear(x))
        return {"loss": x.square().mean() + x.sum()} if mode == "loss" else x


@pytest.fixture(scope="session")
def stock_checkpoint(tmp_path_factory):
    """Train three iterations; return ``path`` and the ``raw`` and ``ema`` tensors in it."""
    torch.manual_seed(0)
    work_dir = tmp_path_factory.mktemp("stock")
    runner = Runner(
        model=ToyModel(),
        work_dir=str(work_dir),
        train_dataloader=dict(
            dataset=[{"x": x} for x in torch.randn(6, 4)],
            batch_size=2,
            sampler=dict(type="DefaultSampler"),
            collate_fn=dict(type="default_collate"),
        ),
        train_cfg=dict(by_epoch=False, max_iters=3),
        optim_wrapper=dict(optimizer=dict(type="AdamW", lr=0.1)),
        param_scheduler=dict(type="LinearLR", start_factor=0.1, by_epoch=False, end=3),
        default_hooks=dict(
            checkpoint=dict(type="CheckpointHook", interval=3, by_epoch=False),
            logger=dict(type="LoggerHook", interval=1),
        ),
        custom_hooks=[dict(type="EMAHook", momentum=0.5)],
        log_level="WARNING",
        experiment_name="weights-stock-checkpoint",
    )
    runner.message_hub.update_info("best_score", np.float32(0.5))  # as some metrics leave it
    runner.train()
    hook = next(hook for hook in runner.hooks if isinstance(hook, EMAHook))
    return SimpleNamespace(
        path=work_dir / "iter_3.pth",
        hub=runner.message_hub,
        raw={name: value.clone() for name, value in runner.model.state_dict().items()},
        ema={name: value.clone() for name, value in hook.ema_model.module.state_dict().items()},
    )
