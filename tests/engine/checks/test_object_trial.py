"""What cannot be built of a config is told before a run begins, and leaves no run behind."""

import copy

import pytest
from mmengine.config import Config

from mmrbdc.config_errors import ConfigError
from mmrbdc.engine.checks.settings import check_parts, check_settings
from mmrbdc.engine.configs.custom_imports import import_custom
from mmrbdc.engine.launch import train
from mmrbdc.registry import RUNNERS
from tests.engine.plain_runs import files, plain, trained
from tests.engine.tiny_runs import staged, stages_of

BOTH = [
    ({"optim_wrapper.optimizer.type": "Adagradd"}, "optim_wrapper: type 'Adagradd' .*'Adagrad'"),
    ({"optim_wrapper.optimizer.lr": "slow"}, "optim_wrapper: .*lr='slow'"),
    ({"optim_wrapper.optimizer.weight_decay": -3}, "optim_wrapper: .*weight_decay"),
    ({"optim_wrapper.constructor": "NoConstructor"}, "optim_wrapper: type 'NoConstructor'"),
    ({"train_dataloader.dataset.pipeline.0.type": "LoadImage"}, "train_dataloader.* 'LoadImage' "),
    ({"val_dataloader.dataset.pipeline.0.flip": 1}, "val_dataloader.*'flip'"),
    ({"val_evaluator.thres": 0.5}, "val_evaluator: Accuracy.*'thres'"),
    ({"model.backbone.arch.num_layers": "two"}, "model.*num_layers='two'"),
    ({"model.head.loss.type": "CrossEntropy"}, "model: type 'CrossEntropy' .*'CrossEntropyLoss'"),
    ({"train_dataloader.batch_size": 0}, "train_dataloader.batch_size=0 must be a whole number"),
    ({"data_preprocessor.std": [50.0, 0.0, 50.0]}, "data_preprocessor.std=.* has a 0"),
    ({"custom_imports.imports": ["my.own.heads"]}, r"custom_imports: .*No module named 'my'"),
]
PLAIN = [
    ({"param_scheduler": [dict(type="StepLr", step_size=1)]}, "param_scheduler: .*'StepLR'"),
    ({"param_scheduler": [dict(type="StepLR", step=1)]}, "param_scheduler: StepLR.*'step'"),
]
STAGED = [
    ({"stages.1.optim_wrapper.optimizer.type": "SGDD"}, "optim_wrapper: type 'SGDD' .*'SGD'"),
    ({"stages.1.model.backbone.drop_path_rate": "low"}, "model: .*drop_path_rate='low'"),
    ({"param_scheduler.1.begin": "one"}, "param_scheduler: TypeError"),
    ({"param_scheduler.1.type": "CosineAnealingLR"}, "param_scheduler: .*'CosineAnnealingLR'"),
    ({"test_evaluator.type": "Acuracy"}, "test_evaluator: type 'Acuracy' .*'Accuracy'"),
]


def changed(cfg, options):
    for key, value in options.items():
        if "." in key:
            cfg.merge_from_dict({key: value})
        else:
            cfg[key] = value
    return cfg


@pytest.mark.parametrize("options, told", [*BOTH, *STAGED])
def test_a_protocol_is_not_begun(images, tmp_path, options, told):
    with pytest.raises(ConfigError, match=told) as error:
        RUNNERS.build(changed(staged(images, tmp_path / "run"), options)).train()
    assert "\n" not in str(error.value)
    assert not list((tmp_path / "run").rglob("plan.json"))


@pytest.mark.parametrize("options, told", [*BOTH, *PLAIN])
def test_a_plain_run_is_not_begun(images, tmp_path, options, told):
    with pytest.raises(ConfigError, match=told) as error:
        train(changed(plain(images, tmp_path / "run", "deit"), options))
    assert "\n" not in str(error.value)
    assert not files(tmp_path / "run")


def test_the_corrected_run_is_begun_in_the_same_place(images, tmp_path):
    cfg = plain(images, tmp_path, "deit")
    for wrong in ({"optim_wrapper.optimizer.lr": "1e-3x"}, {"val_evaluator.type": "Acc"}):
        with pytest.raises(ConfigError):
            train(changed(copy.deepcopy(cfg), wrong))
    cfg.experiment_name = "corrected"
    assert trained(cfg)


def test_what_was_tried_leaves_no_trace(images, tmp_path):
    """The optimizer that trains is another, whose learning rates nobody has touched."""
    cfg = staged(images, tmp_path)
    before = cfg.to_dict()
    stages_of(cfg)
    assert cfg.to_dict() == before


@pytest.mark.parametrize(
    "cfg, told",
    [
        (dict(train_cfg=dict(val_interval=0)), "train_cfg.val_interval=0 "),
        (dict(train_cfg=dict(val_interval=1.5)), "train_cfg.val_interval=1.5 "),
        (dict(optim_wrapper=dict(accumulative_counts=-1)), "accumulative_counts=-1 "),
        (dict(val_dataloader=dict(num_workers=-2)), "val_dataloader.num_workers=-2 "),
        (dict(default_hooks=dict(logger=dict(interval=0))), "logger.interval=0 "),
        (dict(randomness=dict(seed="x")), "randomness.seed='x' "),
        (dict(randomness=dict(seed=2**32)), "the largest seed"),
        (dict(randomness=dict(seed=True)), "randomness.seed=True "),
        (
            dict(model=dict(data_preprocessor=dict(pad_size_divisor=0))),
            "pad_size_divisor=0 must be",
        ),
        (dict(data_preprocessor=dict(pad_size_divisor="32")), "pad_size_divisor='32' must be"),
        (dict(model=dict(backbone=dict(drop_path_rate=[0.1, 0.2]))), "drop_path_rate=[0.1, 0.2]"),
        (dict(model=dict(backbone=dict(drop_path_rate=1))), "drop_path_rate=1 must be"),
        (dict(model=dict(backbone=dict(drop_rate=float("nan")))), "drop_rate=nan must be a number"),
        (
            dict(model=dict(backbone=dict(arch=dict(num_heads=0)))),
            "arch.num_heads=0 must be a whole number",
        ),
        (dict(env_cfg=dict(mp_cfg=dict(mp_start_method="frok"))), "mp_start_method='frok' is none"),
        (dict(log_level="LOUD"), "log_level='LOUD' is none of DEBUG"),
        (dict(data_preprocessor=dict(mean=[1, 2], std=[1, 2])), "mean has 2 numbers"),
        (dict(data_preprocessor=dict(mean=[1, 2, 3])), "has mean and no std"),
        (dict(data_preprocessor=dict(std="x", mean=[1])), "std='x' is not a list"),
        (dict(model=dict(backbone=dict(in_channels=1), data_preprocessor=dict(
            mean=[0, 0, 0], std=[1, 1, 1]))), "3 numbers, an image 1 channels"),
    ],
)  # fmt: skip
def test_settings_that_are_none(cfg, told):
    for kind in (dict, Config):
        with pytest.raises(ConfigError) as error:
            check_settings(kind(cfg))
        assert told in str(error.value)


@pytest.mark.parametrize(
    "cfg",
    [
        dict(),
        dict(train_cfg=dict(by_epoch=True, val_interval=1), randomness=dict(seed=0)),
        dict(model=dict(backbone=dict(arch="deit-small")), env_cfg=dict(mp_cfg=None)),
        dict(env_cfg=dict(mp_cfg=dict(mp_start_method="spawn"))),
        dict(train_cfg=None, val_dataloader=None, optim_wrapper=None, randomness=dict(seed=None)),
        dict(train_dataloader=dict(batch_size=1, num_workers=0), log_level="WARN"),
        dict(model=dict(backbone=dict(drop_path_rate=0, drop_rate=0.5))),
        dict(model=dict(backbone=None, data_preprocessor=dict(pad_size_divisor=1))),
        dict(log_level=10, data_preprocessor=dict(mean=127.5, std=50)),
        dict(data_preprocessor=dict(mean=[0], std=[1, 1, 1])),
        dict(data_preprocessor=dict(mean=[0] * 6, std=[1] * 6)),
        dict(data_preprocessor=dict(mean=None, std=None)),
        dict(model=dict(backbone=dict(in_channels=2), data_preprocessor=dict(
            mean=[0, 0], std=[1, 1]))),
    ],
)  # fmt: skip
def test_settings_that_are(cfg):
    check_settings(Config(cfg))


def test_what_is_missing_is_named_with_the_file(tmp_path):
    file = tmp_path / "empty.py"
    file.write_text("# no _base_\n")
    with pytest.raises(ConfigError, match=r"empty.py has no model, train_dataloader.*_base_"):
        train(Config.fromfile(file))
    with pytest.raises(ConfigError, match="optim_wrapper='SGD' is not a dict"):
        check_parts(Config(dict(optim_wrapper="SGD")), "optim_wrapper")
    check_parts(Config(dict(model=dict(), test_evaluator=[])), "model", "test_evaluator")


@pytest.mark.parametrize("imports, told", [(["absent_here"], "No module"), (3, "dict\\(imports")])
def test_custom_imports_that_fail(imports, told):
    with pytest.raises(ConfigError, match=f"custom_imports: .*{told}"):
        import_custom(Config(dict(custom_imports=dict(imports=imports))))


def test_custom_imports_that_succeed():
    import_custom(Config(dict(custom_imports=dict(imports=["json"]))))
    import_custom(Config(dict(custom_imports=None)))
