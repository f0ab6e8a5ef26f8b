"""float32 on GPUs is computed as a config asks for, and a protocol knows how it was."""

import pytest
import torch
from mmengine.config import Config

from mmrbdc.config_errors import ConfigError
from mmrbdc.engine.checks.settings import check_settings
from mmrbdc.engine.process.precision import float32_precision, set_float32_precision


@pytest.fixture(autouse=True)
def _as_before():
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


@pytest.mark.parametrize(("value", "allowed"), [("tf32", True), ("ieee", False)])
def test_products_and_convolutions_follow(value, allowed):
    set_float32_precision(dict(env_cfg=dict(float32_precision=value)))
    assert torch.backends.cuda.matmul.allow_tf32 is allowed
    assert torch.backends.cudnn.allow_tf32 is allowed


@pytest.mark.parametrize("config", [{}, dict(env_cfg=None), dict(env_cfg=dict())])
def test_torchs_defaults_are_left(config):
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = True, False
    set_float32_precision(config)
    assert torch.backends.cuda.matmul.allow_tf32 and not torch.backends.cudnn.allow_tf32
    assert float32_precision(config) is None


@pytest.mark.parametrize("value", ["TF32", True, 32, "high"])
def test_another_word_is_refused_before_a_run(value):
    with pytest.raises(ConfigError, match="'tf32' .* 'ieee' .* left out"):
        check_settings(Config(dict(env_cfg=dict(float32_precision=value))))
