"""What a run's log says, and in what form."""

import logging

import pytest
from mmengine.runner import Runner

from mmrbdc.engine.hooks.finite_loss import NonFiniteLoss
from mmrbdc.engine.launch import train
from tests.engine.plain_runs import plain
from tests.engine.tiny_runs import one_stage, train_protocol


def log_of(folder):
    (log,) = folder.glob("2*/*.log")
    return log.read_text()


@pytest.mark.parametrize("protocol", [False, True])
def test_an_error_is_told_without_the_file_of_the_code(images, tmp_path, capsys, protocol):
    options = {"optim_wrapper.optimizer.lr": 1e30, "optim_wrapper.clip_grad": None}
    with pytest.raises(NonFiniteLoss):
        if protocol:
            cfg = one_stage(images, tmp_path, overrides=dict(epochs=2))
            cfg.merge_from_dict(options)
            train_protocol(cfg)
        else:
            train(plain(images, tmp_path, "deit", **{**options, "train_cfg.max_epochs": 2}))
    folder = next(tmp_path.glob("stage*")) if protocol else tmp_path
    for text in (log_of(folder), capsys.readouterr().out):
        (line,) = [line for line in text.splitlines() if "ended by NonFiniteLoss" in line]
        before, _, _ = line.partition("ended by")
        assert "ERROR" in before and ".py" not in before


def test_twin_mmengines_own_logger_names_it(images, tmp_path):
    cfg = plain(images, tmp_path)
    cfg.experiment_name = "twin"  # MMEngine keys its loggers by it, and by the second otherwise
    runner = Runner.from_cfg(cfg)
    runner.logger.log(logging.ERROR, "the roof fell in")
    assert "test_logs.py - test_twin" in log_of(tmp_path)
