"""How a pretrained (or grown) backbone enters a detector: strictly, once, and with a report."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.logging import print_log
from mmengine.model import BaseModule
from mmengine.model.weight_init import update_init_info
from torch import nn

from mmrbdc.families import Architecture, architecture_from_config, architecture_from_dict
from mmrbdc.registry import WEIGHT_INITIALIZERS
from mmrbdc.weights import (
    Checkpoint,
    WeightsError,
    backbone_state_dict,
    load_strict,
    read_checkpoint,
)

_HEADLESS = ("head", "num_classes")
"""Fields of an architecture that a backbone does not have."""


class TransferableBackbone:
    """Mixin in front of an MMPretrain backbone that lets :class:`Transferred` fill it.

    MMPretrain's backbones re-randomise parts of themselves after every initialiser that is not
    their own ``Pretrained`` (ViT its position table, ResNet its last BatchNorms); with
    ``init_cfg=dict(type='mmrbdc.Transferred', ...)`` nothing touches the weights after the load.

    Attributes:
        architecture: what the backbone is; ``head`` and ``num_classes`` in it mean nothing.
        load_report: after a load, what was loaded, in plain JSON types (see :class:`Transferred`).
    """

    architecture: Architecture
    load_report: dict[str, Any] | None = None
    init_cfg: Any

    def init_weights(self) -> None:
        """Initialise by ``init_cfg``; with ``Transferred``, by that alone.

        Raises:
            WeightsError: ``Transferred`` shares a list with other initialisers, which would
                overwrite it or be overwritten.
        """
        listed = self.init_cfg if isinstance(self.init_cfg, list | tuple) else [self.init_cfg]
        if not any(_is_transferred(cfg) for cfg in listed):
            super().init_weights()  # type: ignore[misc]
            return
        if len(listed) > 1:
            raise WeightsError(
                f"init_cfg of {type(self).__name__} lists mmrbdc.Transferred beside "
                f"{len(listed) - 1} other initialisers: it fills every tensor, let it stand alone"
            )
        assert isinstance(self, BaseModule)
        BaseModule.init_weights(self)

    def train(self, mode: bool = True) -> "TransferableBackbone":
        """Set the mode and return the backbone, as any module does (MMPretrain's return None)."""
        super().train(mode)  # type: ignore[misc]
        return self


@WEIGHT_INITIALIZERS.register_module()
class Transferred:
    """Fill a detector's backbone from a classifier's (or a backbone's) file: all of it, or fail.

    Use it as ``init_cfg`` of ``mmrbdc.DeiT``, ``mmrbdc.ResNet``, ``ResNetV1c`` or ``ResNetV1d``::

        init_cfg=dict(
            type='mmrbdc.Transferred',
            checkpoint='work_dirs/resnet50_2step_in1k/resnet50_2step_in1k.pth',
            made_by='configs/rbdc/resnet50_2step_in1k.py')

    Family and architecture that the file names are compared with the backbone's, so that a file
    that would fit by its shapes alone (another ResNet style, another head size) is refused too.
    The report is printed and kept as ``backbone.load_report``: ``checkpoint`` (the file's meta with
    ``path``, ``sha256``, ``weights`` and ``prefix``) and ``load`` (see
    :class:`mmrbdc.weights.LoadReport`).

    Args:
        checkpoint: path of the file.
        made_by: config whose training leaves that file, for the error when it is missing.
        weights: ``'raw'`` or ``'ema'``; needed for a file that has both.
    """

    def __init__(
        self, checkpoint: str, made_by: str | None = None, weights: str | None = None
    ) -> None:
        self.checkpoint = checkpoint
        self.made_by = made_by
        self.weights = weights

    def check_file(self) -> None:
        """Raise a WeightsError that says how to make the checkpoint when it is not there."""
        if not Path(self.checkpoint).is_file():
            how = "check init_cfg.checkpoint of the backbone"
            if self.made_by:
                how = f"make it with: python tools/train.py {self.made_by}"
            raise WeightsError(f"the backbone's checkpoint {self.checkpoint} does not exist; {how}")

    def __call__(self, module: nn.Module) -> None:
        """Load, mark every module below as initialised, and report.

        Raises:
            WeightsError: the file is missing, unreadable, of another family or architecture, or
                one of its tensors does not fit. The module is untouched then.
        """
        if not isinstance(module, TransferableBackbone):
            raise WeightsError(
                f"mmrbdc.Transferred is the init_cfg of a {type(module).__name__}, but fills only "
                "backbones: mmrbdc.DeiT, mmrbdc.ResNet, mmrbdc.ResNetV1c, mmrbdc.ResNetV1d"
            )
        self.check_file()
        checkpoint = read_checkpoint(self.checkpoint, weights=self.weights)  # type: ignore[arg-type]
        described = _check_architecture(module.architecture, checkpoint)
        tensors, prefix = backbone_state_dict(checkpoint)
        report = load_strict(module, tensors, source=str(self.checkpoint))
        for submodule in module.modules():
            if isinstance(submodule, BaseModule):
                submodule.is_init = True
        if hasattr(module, "_params_init_info"):
            update_init_info(module, init_info=f"Transferred from {self.checkpoint}")
        module.load_report = {
            "checkpoint": {
                **checkpoint.meta,
                "path": str(self.checkpoint),
                "sha256": checkpoint.sha256,
                "weights": checkpoint.weights,
                "prefix": prefix,
            },
            "load": report.to_dict(),
        }
        left = len(checkpoint.state_dict) - len(tensors)
        lines = [
            *report.lines(),
            f"  {described}; {checkpoint.weights} weights; prefix {prefix!r}; "
            f"{left} tensors outside the backbone left behind",
        ]
        print_log("\n".join(["backbone:", *lines]), logger="current")


def backbone_architecture(backbone_cfg: Mapping[str, Any]) -> Architecture:
    """Return the architecture of an MMPretrain backbone's config, read as a classifier's.

    Raises:
        FamilyError: the backbone has options whose tensors its family does not know.
    """
    heads = {"VisionTransformer": "VisionTransformerClsHead"}
    head = {"type": heads.get(backbone_cfg["type"], "LinearClsHead"), "num_classes": 1}
    return architecture_from_config(
        {"type": "ImageClassifier", "backbone": backbone_cfg, "head": head}
    )


def _check_architecture(own: Architecture, checkpoint: Checkpoint) -> str:
    """Return what was compared, in words; raise where the file is of another architecture."""
    described = checkpoint.meta.get("architecture")
    if described is None:
        return f"the file names no architecture: compared with {own.label} by names and shapes only"
    theirs = architecture_from_dict(described)
    differences = own.differences(theirs, ignore=_HEADLESS)
    if differences:
        raise WeightsError(
            f"{checkpoint.path} is {theirs.label}, the detector's backbone is {own.label}: "
            f"{'; '.join(differences)}. Give the backbone the file's architecture or another file; "
            "nothing was loaded."
        )
    return own.label


def _is_transferred(cfg: Any) -> bool:
    kind = cfg.get("type") if isinstance(cfg, Mapping) else None
    return kind is Transferred or (isinstance(kind, str) and kind.split(".")[-1] == "Transferred")


def check_transferred_files(model_cfg: Mapping[str, Any]) -> None:
    """Look for the checkpoints that a detector's backbones will load, before anything is built.

    Raises:
        WeightsError: One does not exist; says how to make it.
    """
    for value in model_cfg.values():
        if not isinstance(value, Mapping):
            continue
        if _is_transferred(value):
            arguments = {key: entry for key, entry in value.items() if key != "type"}
            Transferred(**arguments).check_file()
        else:
            check_transferred_files(value)
