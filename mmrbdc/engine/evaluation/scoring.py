"""Accuracy without a run: junctions and final models."""

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.evaluator import Evaluator
from mmengine.runner import Runner

from mmrbdc.config_parts import as_list
from mmrbdc.datasets.loading.rules import read_by_rules
from mmrbdc.engine.inputs.loading_errors import loading_errors_in_words
from mmrbdc.models.siblings import Siblings


def score(siblings: Siblings, cfg: Config, split: str = "val") -> dict[str, float]:
    """Metrics of members and ensemble on one split, in percent as MMPretrain gives them.

    Args:
        siblings: one or more models; left in eval mode on the run's device.
        cfg: a run config with ``<split>_dataloader`` and ``<split>_evaluator``.
        split: ``val`` or ``test``.
    """
    loader = Runner.build_dataloader(cfg[f"{split}_dataloader"], seed=0)
    metrics = as_list(cfg[f"{split}_evaluator"])
    metrics = [metric for metric in metrics if metric["type"] != "mmrbdc.MemberAccuracy"]
    metrics += [
        dict(type="mmrbdc.MemberAccuracy", position=position, index=index)
        for position, index in enumerate(siblings.indices)
    ]
    evaluator = Evaluator(metrics)
    evaluator.dataset_meta = loader.dataset.metainfo
    siblings.to(get_device()).eval()
    read_by_rules(loader.dataset, training=False)
    place = f"scoring on the {split} split"
    with torch.no_grad(), loading_errors_in_words(lambda: place):
        for batch in loader:
            evaluator.process(data_samples=siblings.val_step(batch), data_batch=batch)
    return evaluator.evaluate(len(loader.dataset))


def member_scores(metrics: dict[str, float], siblings: Siblings) -> list[float]:
    """Top-1 of each member out of :func:`score`'s result."""
    return [metrics[f"member{index}/top1"] for index in siblings.indices]
