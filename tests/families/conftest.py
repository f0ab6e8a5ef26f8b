"""Real MMPretrain classifiers of any size with random weights, statistics included."""

from collections.abc import Callable, Mapping
from typing import Any

import mmpretrain.models  # noqa: F401  (fills the registry)
import pytest
import torch
from mmengine.hub import get_config
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS
from torch import Tensor, nn


def deit_config(
    backbone: str = "VisionTransformer", head: str = "VisionTransformerClsHead", **options: Any
) -> dict[str, Any]:
    """A ViT classifier of 2 layers, 4 heads of 8, 32 px, 5 classes; options go to the backbone."""
    arch = dict(embed_dims=32, num_layers=2, num_heads=4, feedforward_channels=64)
    settings = {"arch": arch, "img_size": 32, "patch_size": 8, **options}
    return dict(
        type="ImageClassifier",
        backbone=dict(type=backbone, **settings),
        neck=None,
        head=dict(type=head, num_classes=5, in_channels=settings["arch"]["embed_dims"]),
    )


def resnet_config(backbone: str = "ResNet", **options: Any) -> dict[str, Any]:
    """A ResNet classifier, 16 base and stem channels, 5 classes; options go to the backbone."""
    settings = {"depth": 18, "base_channels": 16, "stem_channels": 16, **options}
    last = settings.get("num_stages", 4) - 1
    expansion = settings.get("expansion") or (4 if settings["depth"] >= 50 else 1)
    return dict(
        type="ImageClassifier",
        backbone=dict(type=backbone, **settings),
        neck=dict(type="GlobalAveragePooling"),
        head=dict(
            type="LinearClsHead",
            num_classes=5,
            in_channels=settings["base_channels"] * expansion * 2**last,
        ),
    )


def build(model_cfg: Mapping[str, Any], seed: int | None = None) -> nn.Module:
    """A classifier in eval mode; with a seed all weights and statistics are random."""
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        model = MODELS.build(model_cfg)
    if seed is not None:
        generator = torch.Generator().manual_seed(seed)
        for name, tensor in model.state_dict().items():
            randomise(name, tensor, generator)
    # MMPretrain's ResNet.train() returns None, so this cannot be chained.
    model.eval()
    return model


def randomise(name: str, tensor: Tensor, generator: torch.Generator) -> None:
    """Fill a tensor with what a trained one might hold: gains near 1, maps near 1/sqrt(n)."""
    if not tensor.is_floating_point():
        tensor.fill_(7)
    elif name.endswith("running_var") or (tensor.ndim == 1 and name.endswith("weight")):
        tensor.uniform_(0.5, 1.5, generator=generator)
    elif tensor.ndim == 1 or name.endswith(("cls_token", "dist_token", "pos_embed")):
        tensor.normal_(0, 0.3, generator=generator)
    else:
        tensor.normal_(0, tensor[0].numel() ** -0.5, generator=generator)


def mean_error(child: nn.Module, parents: list[nn.Module], images: Tensor) -> float:
    """Largest difference between the child's logits and the parents' mean, relative."""
    with torch.no_grad():
        logits = child(images)
        mean = torch.stack([parent(images) for parent in parents]).mean(0)
    return float((logits - mean).abs().max() / mean.abs().max())


class Zoo:
    """The functions above under one fixture."""

    deit: Callable[..., dict[str, Any]] = staticmethod(deit_config)
    resnet: Callable[..., dict[str, Any]] = staticmethod(resnet_config)
    build = staticmethod(build)
    mean_error = staticmethod(mean_error)

    @staticmethod
    def stock(name: str) -> dict[str, Any]:
        """The model of a config that MMPretrain ships."""
        return get_config(f"mmpretrain::{name}").model


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Small shapes: threads only cost."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def zoo() -> type[Zoo]:
    """Configs and models."""
    return Zoo
