"""Small grown classifiers and their files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS as MMPRETRAIN_MODELS
from torch import nn

from mmrbdc.families import architecture_from_config
from mmrbdc.growth.run import grow
from mmrbdc.weights import save_member

CLASSIFIERS = {
    "deit": dict(
        backbone=dict(
            type="VisionTransformer",
            arch=dict(embed_dims=32, num_layers=2, num_heads=4, feedforward_channels=64),
            img_size=32,
            patch_size=8,
        ),
        head=dict(type="VisionTransformerClsHead", num_classes=10, in_channels=32),
    ),
    "resnet-18": dict(
        backbone=dict(type="ResNet", depth=18, base_channels=8, stem_channels=8),
        neck=dict(type="GlobalAveragePooling"),
        head=dict(type="LinearClsHead", num_classes=10, in_channels=64),
    ),
    "resnet-50": dict(
        backbone=dict(type="ResNet", depth=50, base_channels=4, stem_channels=4),
        neck=dict(type="GlobalAveragePooling"),
        head=dict(type="LinearClsHead", num_classes=10, in_channels=128),
    ),
    "resnetv1d-50": dict(
        backbone=dict(type="ResNetV1d", depth=50, base_channels=4, stem_channels=4),
        neck=dict(type="GlobalAveragePooling"),
        head=dict(type="LinearClsHead", num_classes=10, in_channels=128),
    ),
}
SHORT_NAMES = {"VisionTransformer": "DeiT"}


@dataclass(frozen=True)
class GrownFile:
    """A member file of a classifier grown from two random parents of half its width.

    Attributes:
        path: of the file.
        classifier: MMPretrain's, filled with the grown weights, in eval mode.
        backbone_cfg: of the backbone as a detector's, without ``init_cfg``.
    """

    path: Path
    classifier: nn.Module
    backbone_cfg: dict[str, Any]

    def transferred(self, **changes: Any) -> dict[str, Any]:
        """Return the detector's backbone config that loads the file, with some options changed."""
        init_cfg = dict(type="mmrbdc.Transferred", checkpoint=str(self.path))
        return dict(self.backbone_cfg, init_cfg=init_cfg, **changes)

    def backbone_tensors(self) -> dict[str, torch.Tensor]:
        """Return the grown backbone's tensors."""
        return self.classifier.backbone.state_dict()


def randomise(module: nn.Module, seed: int) -> None:
    """Give every tensor random values, norms and BatchNorm's statistics included."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in module.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 2, generator=generator)
        elif tensor.is_floating_point():
            tensor.normal_(0, 0.2, generator=generator)


def make_grown_file(folder: Path, name: str) -> GrownFile:
    """Grow a classifier and save it as a member file."""
    config = dict(type="ImageClassifier", **CLASSIFIERS[name])
    architecture = architecture_from_config(config)
    parents = []
    for seed in (1, 2):
        parent = MMPRETRAIN_MODELS.build(architecture.scaled(0.5).classifier_config(config))
        randomise(parent, seed)
        parents.append(parent.state_dict())
    child = grow(parents, architecture.layout()).state_dict
    classifier = MMPRETRAIN_MODELS.build(config)
    classifier.load_state_dict(child)
    classifier.eval()
    path = folder / f"{name}.pth"
    meta = dict(
        name=name,
        family=architecture.family,
        architecture=architecture.to_dict(),
        weights="raw",
        method="rbdc",
        train_flops=1e9,
        accuracy={"val/top1": 90.0},
    )
    save_member(path, child, meta)
    kind = config["backbone"]["type"]
    backbone_cfg = dict(config["backbone"], type=f"mmrbdc.{SHORT_NAMES.get(kind, kind)}")
    if architecture.family == "resnet":
        backbone_cfg["out_indices"] = (0, 1, 2, 3)
    return GrownFile(path, classifier, backbone_cfg)


@pytest.fixture(scope="session")
def grown_files(tmp_path_factory):
    """Files of all small classifiers, by name."""
    folder = tmp_path_factory.mktemp("grown")
    init_default_scope("mmpretrain")
    return {name: make_grown_file(folder, name) for name in CLASSIFIERS}


@pytest.fixture(autouse=True)
def _detection_scope_and_seed():
    torch.manual_seed(0)
    init_default_scope("mmdet")
