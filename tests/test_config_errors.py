"""What only a class or a registry can tell of a config is one line that names the part."""

import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.optim import build_optim_wrapper
from mmpretrain.registry import MODELS

from mmrbdc.config_errors import ConfigError, told_as_config_error
from mmrbdc.datasets import DataError
from mmrbdc.ops import EXTENSION

OPTIMIZER = dict(type="SGD", lr=0.1)


def optimizer(**changed):
    wrapper = dict(type="OptimWrapper", optimizer=dict(OPTIMIZER, **changed))
    return wrapper, lambda: build_optim_wrapper(torch.nn.Linear(2, 2), wrapper)


def model(**changed):
    config = {"type": "mmpretrain.ResNet", "depth": 18, **changed}
    return config, lambda: MODELS.build(config)


def evaluator(**changed):
    config = {"type": "mmpretrain.Accuracy", **changed}
    return config, lambda: Evaluator(config)


@pytest.mark.parametrize(
    "part, made, told",
    [
        ("optim_wrapper", optimizer(type="RMSpropp"), "'RMSpropp' names no optimizer that is"),
        ("optim_wrapper", optimizer(type="RMSpropp"), "did you mean 'RMSprop'"),
        ("optim_wrapper", optimizer(type="zzzzzz"), "no name is like it"),
        ("optim_wrapper", optimizer(lr="slow"), "SGD(lr='slow') fails: TypeError"),
        ("optim_wrapper", optimizer(lr=-2), "Invalid learning rate: -2"),
        ("optim_wrapper", optimizer(momentun=0.9), "'momentun'"),
        ("model", model(type="mmpretrain.ResNett"), "names no model that is registered"),
        ("model", model(depth="deep"), "depth='deep'"),
        ("model", model(out_indices="last"), "out_indices='last'"),
        ("model", model(base_channels=-4), "RuntimeError: "),
        (
            "val_evaluator",
            evaluator(type="mmpretrain.SingleLabelMetric", items=["f2"]),
            "items=['f2']",
        ),
        ("val_evaluator", evaluator(top=1), "unexpected keyword argument 'top'"),
    ],
)
def test_the_part_and_the_value_are_named_in_one_line(part, made, told):
    config, build = made
    with pytest.raises(ConfigError) as error, told_as_config_error(part, config):
        build()
    message = str(error.value)
    assert message.startswith(f"{part}: ") and told in message and "\n" not in message
    assert error.value.__cause__ is not None  # for MMRBDC_TRACEBACK=1


@pytest.mark.parametrize("made", [optimizer(), model(), evaluator(topk=1)])
def test_what_can_be_built_is_built(made):
    config, build = made
    with told_as_config_error("part", config):
        assert build() is not None


def test_the_function_on_the_way_tells_the_part():
    def build_dataloader(kind):
        raise kind("no")

    parts = {"build_dataloader": "val_dataloader", "build_evaluator": "val_evaluator"}
    for kind in (TypeError, ValueError, FileNotFoundError):
        told = told_as_config_error("val_cfg", within=parts)
        with pytest.raises(ConfigError, match=r"^val_dataloader: "), told:
            build_dataloader(kind)


@pytest.mark.parametrize(
    "error",
    [
        DataError("train_dataloader: no image"),
        ConfigError("model.head: no"),
        ValueError("model.neck.scale=3 is too much"),
        torch.cuda.OutOfMemoryError("of the machine"),
        ModuleNotFoundError("no ops", name=EXTENSION),
        PermissionError(13, "not allowed"),
        KeyboardInterrupt(),
    ],
)
def test_what_names_its_place_or_is_no_fault_of_the_config_stays(error):
    with pytest.raises(type(error)) as raised, told_as_config_error("model"):
        raise error
    assert raised.value is error


def test_parts_inside_each_other_are_named_once():
    outer, inner = told_as_config_error("train_cfg"), told_as_config_error("train_dataloader.x")
    with pytest.raises(ConfigError) as error, outer, inner:
        raise KeyError("n")
    assert str(error.value).startswith("train_dataloader.x: KeyError: n; ")
