"""One ordinary MMPretrain config per stage, derived from the staged one."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, ConfigDict

from mmrbdc.config_errors import told_as_config_error
from mmrbdc.config_parts import as_list
from mmrbdc.datasets.loading.replay import replayable
from mmrbdc.datasets.loading.rules import use_listed_datasets
from mmrbdc.datasets.loading.workers import end_workers_with_run
from mmrbdc.datasets.preprocessing import inner_dataset
from mmrbdc.engine.configs.changes.supernet import be_supernet
from mmrbdc.engine.configs.lockstep import lockstep_options
from mmrbdc.engine.configs.schedule import SHORTEST_WARMUP, fit_schedulers, usual_warmup
from mmrbdc.engine.configs.stage_loop import stage_loop
from mmrbdc.engine.configs.staged_keys import STAGED_KEYS
from mmrbdc.engine.inputs.real_batch import count_accumulated
from mmrbdc.families import architecture_from_config
from mmrbdc.plan import PlanError, PlanRow, SchedulePart, Search
from mmrbdc.seeding import derive_seed


def run_config(
    config: Config,
    *,
    stage_index: int,
    row: PlanRow,
    iters_per_epoch: int,
    warmup: float | None,
    seed: int,
    indices: Sequence[int],
    grown: Sequence[dict | None],
    frozen: Sequence[Sequence[str]] = (),
    part: SchedulePart | None = None,
    image_size: int | None = None,
    search: Search | None = None,
    average: float | None = None,
) -> Config:
    """The config of a stage's run, without what depends on where it runs.

    Folders and the protocol's hooks are added by the runner.

    Args:
        config: the staged config as this stage sees it, see ``stage_view.stage_config``.
        stage_index: 0 for the narrowest.
        row: the stage's row of the plan.
        iters_per_epoch: iterations in one epoch.
        warmup: epochs of warm-up; ``None`` for the recipe's.
        seed: the protocol's seed.
        indices: which members to train.
        grown: initialiser of each of them, or ``None``.
        frozen: parts that each member of the stage keeps as they are, see ``Layout.names_in``;
            empty where all train everything.
        part: the stage's part of one schedule over the whole run; ``None`` for one of its own.
        image_size: pixels to which the preprocessor resizes images; ``None`` for the pipeline's.
        search: what a searching stage tries; ``None`` for other stages.
        average: decay of the moving average that the stage keeps; ``None`` for none.
    """
    cfg = ordinary_config(config)
    lockstep = lockstep_options(config)
    seeds = [derive_seed("member", seed, stage_index, index) for index in indices]
    member = cfg.model
    if any(config is not None for config in grown):
        member.pop("init_cfg", None)
    cfg.model = dict(
        type="mmrbdc.Siblings",
        member=member,
        seeds=seeds,
        indices=list(indices),
        init_cfgs=list(grown),
        compute=lockstep["compute"],
        channels_last=lockstep["channels_last"],
    )
    if image_size is not None:
        cfg.model.image_size = image_size
    if frozen:
        layout = architecture_from_config(config.model).layout()
        cfg.model.frozen = [layout.names_in(frozen[index]) for index in indices]
    if search is not None:
        be_supernet(cfg, search, architecture_from_config(config.model).layout(), seed)
    if average is not None:
        cfg.moving_average = dict(decay=average)
    data_seed = derive_seed("data", seed, stage_index)
    cfg.train_dataloader = _replayable(cfg.train_dataloader, data_seed)
    for name in ("train_dataloader", "val_dataloader", "test_dataloader"):
        _fill_loader(cfg.get(name))
    for name in ("val_dataloader", "test_dataloader"):  # ReplayableDataset sees to the train set
        use_listed_datasets(cfg.get(name))
    count_accumulated(cfg)
    cfg.optim_wrapper = _siblings_optim(cfg.optim_wrapper)
    recipe_epochs = cfg.train_cfg.get("max_epochs")
    if recipe_epochs is None:
        raise PlanError(
            "train_cfg.max_epochs is missing: the length that param_scheduler is written for"
        )
    iters = row.iters
    warmup_iters = None if warmup is None else round(warmup * iters_per_epoch)
    schedulers = as_list(cfg.get("param_scheduler"))
    if part is not None:
        iters = part.iters
        first = usual_warmup(schedulers, recipe_epochs, part.first_iters, iters_per_epoch)
        warmup_iters = round(first * part.iters / part.first_iters)
        warmup_iters = warmup_iters if warmup_iters >= SHORTEST_WARMUP else 0
    with told_as_config_error("param_scheduler"):
        cfg.param_scheduler = fit_schedulers(
            schedulers, recipe_epochs, iters, iters_per_epoch, warmup_iters=warmup_iters
        )
    if part is not None and part.begin:
        start = dict(type="mmrbdc.ScheduleStartHook", iters=round(part.begin * part.iters))
        cfg.custom_hooks = [*as_list(cfg.get("custom_hooks")), start]
    cfg.train_cfg = stage_loop(cfg.train_cfg, row.iters)
    if cfg.get("val_evaluator") and len(indices) > 1:
        cfg.val_evaluator = as_list(cfg.val_evaluator) + [
            dict(type="mmrbdc.MemberAccuracy", position=position, index=index)
            for position, index in enumerate(indices)
        ]
    cfg.randomness = dict(cfg.get("randomness", {}), seed=seed)
    return cfg


def test_config(config: Config) -> Config:
    """What scoring a classifier on the test split needs: ``model``, loader and evaluator.

    Args:
        config: the staged config as the target's stage sees it.

    Raises:
        PlanError: the config has no test split.
    """
    for key in ("test_dataloader", "test_evaluator"):
        if not config.get(key):
            raise PlanError(f"the config has no {key}; add it, or take val's: {key}=val_...")
    cfg = ordinary_config(config)
    _fill_loader(cfg.test_dataloader)
    use_listed_datasets(cfg.test_dataloader)
    return Config(
        dict(
            model=cfg.model,
            test_dataloader=cfg.test_dataloader,
            test_evaluator=cfg.test_evaluator,
        )
    )


def ordinary_config(config: Config) -> Config:
    """A copy without the staged keys, the preprocessor inside the model."""
    cfg = Config(config.to_dict(), format_python_code=False)
    for key in STAGED_KEYS:
        cfg.pop(key, None)
    preprocessor = cfg.pop("data_preprocessor", None)
    if not cfg.model.get("data_preprocessor"):
        cfg.model.data_preprocessor = preprocessor
    return cfg


def dump(cfg: Config, folder: Path) -> None:
    """Write ``config.py`` into the run's folder."""
    folder.mkdir(parents=True, exist_ok=True)
    cfg.dump(str(folder / "config.py"))


def _replayable(loader: ConfigDict, seed: int) -> dict[str, Any]:
    if loader.get("batch_sampler"):
        raise PlanError(
            "train_dataloader.batch_sampler is not supported in a staged config; use sampler"
        )
    return replayable(dict(loader, sampler=_seedless(loader.get("sampler"))), seed)


def _seedless(sampler: dict | None) -> dict:
    """A stage's order is that of its own seed."""
    sampler = sampler or dict(type="DefaultSampler", shuffle=True)
    return {name: value for name, value in sampler.items() if name != "seed"}


def _fill_loader(loader: dict | None) -> None:
    """Defaults that MMPretrain's own training script gives every loader, and our ways to read and
    to stop.
    """
    if not loader:
        return
    end_workers_with_run(loader)
    for transform in inner_dataset(loader["dataset"]).get("pipeline", []):
        if transform["type"] == "LoadImageFromFile":
            transform["type"] = "mmrbdc.LoadImageFromFile"
    loader.setdefault("collate_fn", dict(type="default_collate"))
    loader.setdefault("pin_memory", torch.cuda.is_available())
    loader.setdefault("persistent_workers", True)
    if loader.get("num_workers", 0) == 0:
        loader["persistent_workers"] = False


def _siblings_optim(wrapper: dict) -> dict:
    wrapper = copy.deepcopy(dict(wrapper))
    kind = wrapper.pop("type", "OptimWrapper")
    if kind == "AmpOptimWrapper":
        dtype = wrapper.pop("dtype", None)
        wrapper.pop("loss_scale", None)
        if dtype != "bfloat16":
            raise PlanError(
                f"optim_wrapper: AmpOptimWrapper with dtype={dtype!r}; members trained in "
                f"lockstep take "
                "dtype='bfloat16' only, since one member's overflow in float16 would skip every "
                "member's step"
            )
        wrapper["autocast_dtype"] = "bfloat16"
    elif kind not in ("OptimWrapper", "mmrbdc.SiblingsOptimWrapper"):
        raise PlanError(
            f"optim_wrapper.type {kind!r} is not supported in a staged config; use 'OptimWrapper'"
        )
    optimizer = wrapper.get("optimizer", {})
    if optimizer.get("type") == "Lamb" and optimizer.get("max_grad_norm", 1.0) < 1e30:
        raise PlanError(
            "optim_wrapper.optimizer: MMPretrain's Lamb clips by the norm over all members "
            "(max_grad_norm, default 1), which would couple them; set max_grad_norm=1e30 and "
            "optim_wrapper.clip_grad=dict(max_norm=1.0), which clips each member by its own norm"
        )
    wrapper.setdefault("constructor", "mmrbdc.MergedGroupsConstructor")
    return dict(type="mmrbdc.SiblingsOptimWrapper", **wrapper)
