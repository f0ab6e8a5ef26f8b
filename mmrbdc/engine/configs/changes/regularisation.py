"""A stage's share of its recipe's regularisation."""

from mmengine.config import Config

from mmrbdc.datasets.preprocessing import inner_dataset
from mmrbdc.families.options import type_name
from mmrbdc.plan import Ramp
from mmrbdc.search.grid import magnitude


def ease_regularisation(config: Config, ramp: Ramp) -> None:
    """Take a share of what a config regularises with; changed in place.

    RandAugment's magnitude is rounded to a whole one, half to even, as AutoProg's released code
    does. A recipe without one of the three has nothing to ease there.

    Args:
        config: of a stage.
        ramp: its shares.
    """
    backbone = config.model.backbone
    if backbone.get("drop_path_rate"):
        backbone.drop_path_rate = backbone.drop_path_rate * ramp.drop_path
    dataset = inner_dataset(config.train_dataloader.dataset)
    for transform in dataset.get("pipeline", []):
        kind = type_name(transform, "a transform of a pipeline")
        if kind == "RandAugment":
            transform["magnitude_level"] = magnitude(transform["magnitude_level"], ramp.magnitude)
        elif kind == "RandomErasing":
            transform["erase_prob"] = transform.get("erase_prob", 0.5) * ramp.erasing
