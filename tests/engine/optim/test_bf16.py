"""A protocol in bfloat16 from its first step to its last, on a processor that computes in it."""

from pathlib import Path

import pytest
import torch

from mmrbdc.weights import read_checkpoint
from tests.engine.tiny_runs import one_stage, stage_run, staged, train, train_protocol


def _flags() -> set[str]:
    """What the processor says that it can do."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return set()
    lines = (line.partition(":") for line in text.splitlines())
    return {flag for name, _, value in lines if name.strip() == "flags" for flag in value.split()}


OFFERED = {"avx512_bf16", "amx_bf16"}
BF16 = dict(type="AmpOptimWrapper", dtype="bfloat16")

pytestmark = [
    pytest.mark.skipif(not OFFERED & _flags(), reason="no bfloat16 in this processor"),
    pytest.mark.parametrize("family", ["deit", "resnet"]),
]


def at_32px(cfg):
    """torch 2.11 leaves parts of a gradient unset where the input of a ResNet's last convolution of
    stride 2 is one pixel, as it is of 16 px images.
    """
    cfg.train_dataloader.dataset.pipeline[1].scale = 32
    return cfg


def test_a_protocol_ends_in_finite_float32_weights(images, tmp_path, family):
    cfg = staged(images, tmp_path, family)
    if family == "resnet":
        at_32px(cfg)
    cfg.optim_wrapper.update(BF16)
    state = read_checkpoint(train_protocol(cfg)).state_dict
    floats = [value for value in state.values() if value.is_floating_point()]
    assert {value.dtype for value in floats} == {torch.float32}
    assert all(value.isfinite().all() for value in floats)


def test_its_first_loss_is_that_of_float32_but_for_rounding(images, tmp_path, family):
    """Of weights, images and sums that are rounded to 8 bits; the loss is that of 3 classes."""
    losses = []
    for changes in ({}, BF16):
        cfg = one_stage(images, tmp_path, family, overrides=dict(iters=1))
        cfg.optim_wrapper.update(changes)
        hub = train(stage_run(cfg)).message_hub
        losses.append(hub.get_scalar("train/member0.loss").current())
    assert 0 < abs(losses[1] - losses[0]) < 2**-5
