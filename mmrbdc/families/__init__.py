"""What is known of one architecture at any width, one file per family."""

from collections.abc import Mapping
from typing import Any

from mmrbdc.families.base import Architecture, FamilyError, type_name
from mmrbdc.families.deit import DeiT
from mmrbdc.families.resnet import ResNet

FAMILIES: dict[str, type[Architecture]] = {family.family: family for family in (DeiT, ResNet)}
"""All families by name."""


def get_family(name: str) -> type[Architecture]:
    """Look a family up.

    Raises:
        FamilyError: There is none of that name.
    """
    if name not in FAMILIES:
        raise FamilyError(f"unknown family '{name}'; there is {', '.join(sorted(FAMILIES))}")
    return FAMILIES[name]


def architecture_from_config(model_cfg: Mapping[str, Any]) -> Architecture:
    """Read family and architecture off the config of an MMPretrain ``ImageClassifier``.

    That of mmrbdc's ``TemplateClassifier`` is the plain model's.

    Raises:
        FamilyError: Not a classifier, a backbone of no known family, or an option whose tensors the
            family does not know.
    """
    kind = type_name(model_cfg, "model")
    if kind not in ("ImageClassifier", "TemplateClassifier"):
        raise FamilyError(f"the model is a {kind}; expected an MMPretrain ImageClassifier")
    backbone = type_name(model_cfg.get("backbone"), "backbone")
    for family in FAMILIES.values():
        if backbone in family.backbone_types:
            return family.from_config(model_cfg)
    known = ", ".join(name for family in FAMILIES.values() for name in family.backbone_types)
    raise FamilyError(f"backbone {backbone} belongs to no family; known backbones: {known}")


def architecture_from_dict(values: Mapping[str, Any]) -> Architecture:
    """The architecture that ``to_dict`` wrote, of whatever family.

    Raises:
        FamilyError: An unknown family, or fields missing or unknown.
    """
    return get_family(str(values.get("family"))).from_dict(values)


__all__ = [
    "FAMILIES",
    "Architecture",
    "DeiT",
    "FamilyError",
    "ResNet",
    "architecture_from_config",
    "architecture_from_dict",
    "get_family",
]
