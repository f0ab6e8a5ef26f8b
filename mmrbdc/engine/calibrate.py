"""How far parents' residual streams differ in variance, from a few batches, and what evens it out.

The one use of data at a junction: :func:`mmrbdc.growth.matching_factors` needs each parent's
variances, and the forward passes that measure them are charged.
"""

import copy
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from mmengine import dist
from mmengine.config import Config, ConfigDict
from mmengine.device import get_device
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.utils.data import DataLoader

from mmrbdc.datasets.preprocessing import inner_dataset
from mmrbdc.datasets.reading import build_dataset
from mmrbdc.engine.model_cost import build_on_meta
from mmrbdc.families import architecture_from_config
from mmrbdc.growth import Layout, check_streams, matching_factors, stream_norms
from mmrbdc.plan import PlanError, forward_flops
from mmrbdc.registry import MODELS
from mmrbdc.seeding import derive_seed
from mmrbdc.weights import load_strict

CALIBRATION_BATCHES = 4
"""A variance is a mean over all tokens of all images: a few hundred images fix it."""


@dataclass(frozen=True)
class StreamCalibration:
    """What a few batches say of k parents.

    Attributes:
        factors: (k,) for ``scale_stream``, float64.
        variances: (k, L) of the streams in front of the L norms of ``stream_norms``, float64.
        images: Seen by each parent, over all processes.
        flops: Of all the parents' forward passes.
    """

    factors: Tensor
    variances: Tensor
    images: int
    flops: int


def calibrate_streams(
    parents: Sequence[Mapping[str, Tensor]],
    model_cfg: Mapping[str, Any],
    loader: Iterable[dict],
    batches: int = CALIBRATION_BATCHES,
) -> StreamCalibration:
    """Measure parents' stream variances and find the factors that match them.

    Centring a stream does not change its variance, so it may be done before or after.

    Args:
        parents: State dicts, all of the same architecture.
        model_cfg: Its classifier config, ``data_preprocessor`` included.
        loader: Gives the same raw batches to every parent, see :func:`calibration_loader`.
        batches: How many to use; all of a shorter loader.

    Raises:
        PlanError: There is not one batch.
        GrowthError: ``check_streams`` refuses the architecture.
    """
    layout = architecture_from_config(model_cfg).layout()
    check_streams(layout)
    classifier = MODELS.build(copy.deepcopy(dict(model_cfg))).to(get_device())
    inputs = [
        classifier.data_preprocessor(batch, training=False)["inputs"]
        for batch in itertools.islice(loader, batches)
    ]
    if not inputs:
        raise PlanError(
            f"no batch to calibrate the streams on ({batches} asked for); set the number of "
            "batches to at least 1, or give the train data set images"
        )
    variances = []
    for i, parent in enumerate(parents):
        load_strict(classifier, parent, source=f"parent {i}")
        variances.append(stream_variances(classifier, layout, inputs))
    images = torch.tensor(sum(len(batch) for batch in inputs))
    dist.all_reduce(images)
    image = torch.zeros(1, *inputs[0].shape[1:], device="meta")
    return StreamCalibration(
        factors=matching_factors(torch.stack(variances)),
        variances=torch.stack(variances),
        images=int(images),
        flops=forward_flops(build_on_meta(model_cfg), image) * int(images) * len(parents),
    )


def stream_variances(classifier: nn.Module, layout: Layout, batches: Iterable[Tensor]) -> Tensor:
    """Mean variance over channels of a token in front of each norm that reads a residual stream.

    The mean is over tokens, images and processes; sums are kept in float64.

    Args:
        classifier: An MMPretrain ``ImageClassifier``, run in eval mode and left in its own.
        layout: The classifier's.
        batches: Preprocessed images (N, C, H, W) on the classifier's device.

    Returns:
        (L,), float64, on the CPU, in the order of ``stream_norms(layout)``.
    """
    norms = stream_norms(layout)
    totals = torch.zeros(len(norms), 2, dtype=torch.float64)

    def listen(position: int) -> Any:
        def add(_: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            of_tokens = arguments[0].double().var(-1, correction=0)
            totals[position, 0] += of_tokens.sum().cpu()
            totals[position, 1] += of_tokens.numel()

        return add

    hooks = [
        classifier.get_submodule(name).register_forward_pre_hook(listen(position))
        for position, name in enumerate(norms)
    ]
    was_training = classifier.training
    classifier.eval()
    try:
        with torch.no_grad():
            for inputs in batches:
                classifier(inputs)
    finally:
        classifier.train(was_training)
        for hook in hooks:
            hook.remove()
    dist.all_reduce(totals)
    return totals[:, 0] / totals[:, 1]


def plain_training_set(config: Config) -> ConfigDict:
    """Return the config of the train data set with the pipeline of the validation.

    Args:
        config: A staged config or one of MMPretrain.

    Raises:
        PlanError: Neither validation nor test says how an image is prepared without augmentation.
    """
    plain = config.get("val_dataloader") or config.get("test_dataloader")
    if not plain:
        raise PlanError(
            "growing with data (protocol.streams='matched', or an operator that needs images) uses "
            "train images prepared as for validation, but the config has neither val_dataloader "
            "nor test_dataloader; add one, or grow without data"
        )
    dataset = copy.deepcopy(config.train_dataloader.dataset)
    inner_dataset(dataset)["pipeline"] = copy.deepcopy(inner_dataset(plain.dataset)["pipeline"])
    return dataset


def calibration_loader(config: Config, seed: int) -> DataLoader:
    """Train images as the validation sees them: shuffled, not augmented.

    Args:
        config: The staged config as the parents' stage sees it.
        seed: Of the protocol; it says which images come first.

    Raises:
        PlanError: Neither validation nor test says how an image is prepared without augmentation.
    """
    return Runner.build_dataloader(
        dict(
            batch_size=config.train_dataloader.batch_size,
            num_workers=0,
            dataset=build_dataset(plain_training_set(config)),
            sampler=dict(type="DefaultSampler", shuffle=True),
            collate_fn=dict(type="default_collate"),
        ),
        seed=derive_seed("calibration", seed) % 2**31,
    )
