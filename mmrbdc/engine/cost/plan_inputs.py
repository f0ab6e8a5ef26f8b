"""What a plan needs to know of a staged config."""

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

from mmengine.config import Config

from mmrbdc.datasets.preprocessing import inner_dataset
from mmrbdc.engine.configs.stage_view import stage_config, stage_configs, stage_image_size
from mmrbdc.engine.cost.model_cost import stage_model, training_flops_at
from mmrbdc.engine.inputs.image_size import input_size
from mmrbdc.families import architecture_from_config
from mmrbdc.growth import get_operator
from mmrbdc.plan import Feed, PlanError, Price, Protocol, Stage, StageModel, check_image_sizes
from mmrbdc.plan.stage_model import stage_iters
from mmrbdc.search import SubNet, draw


def plan_inputs(
    cfg: Config,
    protocol: Protocol,
    *,
    samples: int | None = None,
    batch_size: int | None = None,
    options: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Gather the arguments that ``make_plan`` and ``solve_lengths`` share from a staged config.

    Args:
        cfg: the staged config, ``options`` already merged.
        protocol: its protocol.
        samples: samples in one epoch over all processes; default ``protocol.train_samples``.
        batch_size: samples in one iteration over all processes; default
            ``auto_scale_lr.base_batch_size``, or else that of the train loader.
        options: command-line overrides, see :func:`stage_config`.

    Returns:
        ``stage_models``, ``reference_model``, ``samples``, ``batch_size`` and ``drop_last``.

    Raises:
        PlanError: samples or input size are unknown, image sizes fall, or a stage changes the
            batch size.
    """
    samples = samples if samples is not None else protocol.train_samples
    if samples is None:
        raise PlanError(
            "the number of training samples is unknown; set protocol.train_samples in the config, "
            "or give --samples"
        )
    trained = [stage for stage in protocol.stages if stage.search is None]
    check_image_sizes(trained, input_size(cfg))
    reference = stage_model(cfg.model, input_size(cfg))
    configs = stage_configs(cfg, protocol, options)
    loader = cfg.train_dataloader
    for i, config in enumerate(configs):
        for key in ("batch_size", "drop_last"):
            ours, theirs = config.train_dataloader.get(key), loader.get(key)
            if ours != theirs:
                raise PlanError(
                    f"stages[{i}] sets train_dataloader.{key}={ours}, the protocol has {theirs}; "
                    "all stages share one batch size, so set it for the whole config"
                )
        if _sample_source(config) != _sample_source(cfg):
            raise PlanError(
                f"stages[{i}] changes the train data set or its sampler; all stages share one and "
                "may differ in the pipeline only, so set it for the whole config"
            )
    if batch_size is None:
        batch_size = cfg.get("auto_scale_lr", {}).get("base_batch_size", loader.batch_size)
    models = [
        _stage_model(config, stage) for config, stage in zip(configs, protocol.stages, strict=True)
    ]
    feed = Feed(samples, batch_size, loader.get("drop_last", False))
    seed = cfg.get("randomness", {}).get("seed") or 0
    for i, stage in enumerate(protocol.stages):
        if stage.search is not None and not stage.skipped:
            models[i] = _supernet(models[i], cfg, stage, feed, seed)
    junctions = zip(protocol.operators, pairwise(configs), strict=True)
    growth = [0, *(_growth_flops(name, *pair, samples) for name, pair in junctions)]
    return {
        "stage_models": [
            replace(model, growth_flops=flops) for model, flops in zip(models, growth, strict=True)
        ],
        "reference_model": reference,
        "samples": samples,
        "batch_size": batch_size,
        "drop_last": loader.get("drop_last", False),
    }


def _stage_model(config: Config, stage: Stage) -> StageModel:
    """A member of the stage, and what each of them costs where they differ in what is frozen."""
    model = stage_model(config.model, stage_image_size(config, stage))
    if not stage.frozen:
        return model
    layout = architecture_from_config(config.model).layout()
    members = [
        stage_model(config.model, input_size(config), layout.names_in(parts))
        for parts in stage.frozen
    ]
    return replace(model, price=Price.constant([one.train_flops_per_sample for one in members]))


def _supernet(model: StageModel, cfg: Config, stage: Stage, feed: Feed, seed: int) -> StageModel:
    """A supernet, whose price is that of the sub-net which each iteration draws."""
    search = stage.search
    assert search is not None
    depth = stage.depth / max(one.depth for one in search.candidates)  # of one block
    models = {one: _sub_net(cfg, stage, one, depth * one.depth) for one in search.candidates}
    changes: list[tuple[int, tuple[int, ...]]] = []
    iters = stage_iters(stage, feed)
    for iteration in range(iters):
        drawn = models[draw(search.candidates, seed, search.number, iteration)]
        figures = (drawn.train_flops_per_sample,)
        if not changes or changes[-1][1] != figures:
            changes.append((iteration, figures))
    images = feed.samples_of(search.batches)
    evaluations = len(search.points(iters, feed.iters_per_epoch))
    return replace(
        model,
        price=Price(tuple(changes)),
        judging_flops=evaluations * images * sum(one.forward_flops for one in models.values()),
        candidate_flops=tuple(models[one].train_flops_per_sample for one in search.candidates),
    )


def _sub_net(cfg: Config, stage: Stage, net: SubNet, depth: Fraction) -> StageModel:
    own = replace(stage, depth=depth, img_size=net.img_size)
    config = stage_config(cfg, own)
    return stage_model(config.model, stage_image_size(config, own))


def _growth_flops(name: str, narrow: Config, wide: Config, samples: int) -> int:
    """What an operator's own passes cost for one child."""
    operator = get_operator(name)
    if operator.work is None:
        return 0
    sizes = architecture_from_config(narrow.model).layout().sizes
    parts = operator.work(architecture_from_config(wide.model).layout(), sizes, samples)
    image_size = input_size(wide)
    return sum(
        p.images * training_flops_at(wide.model, image_size, p.sizes, p.trained) for p in parts
    )


def _sample_source(cfg: Config) -> tuple[dict, Any]:
    """What decides how many samples an epoch has."""
    dataset = cfg.train_dataloader.dataset.to_dict()
    inner_dataset(dataset).pop("pipeline", None)
    return dataset, cfg.train_dataloader.get("sampler")
