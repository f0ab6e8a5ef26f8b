"""What is told in one line before a run begins: packages of backends, mixed precision on a CPU."""

import copy

import pytest
import torch
from mmengine.config import Config
from mmengine.device import get_device

from mmrbdc.engine.checks.vis_backends import PACKAGES, check_vis_backends
from mmrbdc.engine.optim.amp import (
    BFloat16OptimWrapper,
    autocasts,
    fit_amp_to_device,
    set_autocast,
)

POOLING = dict(roi_head=dict(bbox_roi_extractor=dict(roi_layer=dict(type="RoIAlign"))))
on_cpu = pytest.mark.skipif(get_device() != "cpu", reason="of CPUs")


@pytest.mark.parametrize("kind", ["mmengine.NoVisBackend", "LocalVisBackend"])
def test_backends_of_mmengine_itself_need_nothing(kind):
    check_vis_backends(Config(dict(visualizer=dict(vis_backends=[dict(type=kind)]))))
    check_vis_backends(Config(dict()))


@pytest.mark.parametrize("kind", ["WandbVisBackend", "mmengine.AimVisBackend"])
def test_a_missing_package_is_named_with_its_install(kind, monkeypatch):
    package = PACKAGES[kind.rpartition(".")[2]]
    monkeypatch.setitem(PACKAGES, kind.rpartition(".")[2], f"{package}_that_is_not_there")
    backends = [dict(type="LocalVisBackend"), dict(type=kind)]
    cfg = Config(dict(visualizer=dict(vis_backends=backends)))
    with pytest.raises(ValueError, match=f"pip install {package}_that_is_not_there"):
        check_vis_backends(cfg)


def amp(dtype, model):
    optimizer = dict(type="SGD", lr=1.0)
    wrapper = dict(type="AmpOptimWrapper", dtype=dtype, loss_scale="dynamic", optimizer=optimizer)
    return Config(dict(optim_wrapper=wrapper, model=model))


@on_cpu
def test_a_cpu_trains_in_bfloat16():
    cfg = amp("bfloat16", dict(bbox_head=dict(type="RetinaHead")))
    fit_amp_to_device(cfg)
    assert cfg.optim_wrapper.type == "mmrbdc.BFloat16OptimWrapper"
    assert cfg.optim_wrapper.keys() == {"type", "optimizer"}
    model = torch.nn.Linear(2, 2)
    wrapper = BFloat16OptimWrapper(torch.optim.SGD(model.parameters(), lr=1.0))
    with wrapper.optim_context(model):
        assert model(torch.ones(1, 2)).dtype == torch.bfloat16
    assert model(torch.ones(1, 2)).dtype == torch.float32


@on_cpu
@pytest.mark.parametrize("dtype", ["float16", None])
def test_float16_on_a_cpu_is_one_line(dtype):
    with pytest.raises(ValueError, match="needs a GPU"):
        fit_amp_to_device(amp(dtype, dict()))


@on_cpu
def test_an_operator_without_bfloat16_is_one_line():
    """mmcv's RoIAlign; where a later mmcv has it, the detector trains."""
    from mmcv.ops import roi_align

    image, region = torch.zeros(1, 1, 4, 4).bfloat16(), torch.zeros(1, 5).bfloat16()
    try:
        roi_align(image, region, (1, 1))
    except RuntimeError:
        with pytest.raises(ValueError, match="train it without --amp"):
            fit_amp_to_device(amp("bfloat16", POOLING))
    else:
        fit_amp_to_device(amp("bfloat16", POOLING))


def test_a_run_in_full_precision_is_left_as_it_is():
    cfg = Config(dict(optim_wrapper=dict(type="OptimWrapper"), model=POOLING))
    fit_amp_to_device(cfg)
    assert cfg.optim_wrapper == dict(type="OptimWrapper")


def test_no_amp_is_the_config_in_full_precision():
    cfg = amp("bfloat16", dict())
    set_autocast(cfg, on=False)
    assert cfg.optim_wrapper == dict(type="OptimWrapper", optimizer=dict(type="SGD", lr=1.0))
    kept = copy.deepcopy(cfg)
    set_autocast(cfg, on=False)
    assert cfg.optim_wrapper == kept.optim_wrapper
    for wrapper in (
        dict(type="mmrbdc.BFloat16OptimWrapper"),
        dict(type="mmrbdc.SiblingsOptimWrapper", autocast_dtype="bfloat16"),
    ):
        other = Config(dict(optim_wrapper=wrapper))
        assert autocasts(other)
        set_autocast(other, on=False)
        assert not autocasts(other)
    set_autocast(cfg, on=True)
    assert autocasts(cfg)
    assert (cfg.optim_wrapper.type, cfg.optim_wrapper.dtype) == ("AmpOptimWrapper", "bfloat16")
