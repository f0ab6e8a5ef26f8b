"""The training images as the validation sees them: not augmented."""

import copy

from mmengine.config import Config, ConfigDict

from mmrbdc.datasets.preprocessing import inner_dataset
from mmrbdc.plan import PlanError


def plain_training_set(config: Config) -> ConfigDict:
    """Return the config of the train data set with the pipeline of the validation.

    Args:
        config: a staged config or one of MMPretrain.

    Raises:
        PlanError: neither validation nor test says how an image is prepared without augmentation.
    """
    plain = config.get("val_dataloader") or config.get("test_dataloader")
    if not plain:
        raise PlanError(
            "growing with data uses train images prepared as for validation, but the config has "
            "neither val_dataloader nor test_dataloader; add one, or take an operator that needs "
            "no data"
        )
    dataset = copy.deepcopy(config.train_dataloader.dataset)
    inner_dataset(dataset)["pipeline"] = copy.deepcopy(inner_dataset(plain.dataset)["pipeline"])
    return dataset
