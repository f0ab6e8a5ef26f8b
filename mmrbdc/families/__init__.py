"""What is known of one architecture at any width, one folder per family.

A family says which numbers its tensors' shapes depend on and what every dimension of every tensor
means, how its files are recognised, under which names other libraries keep its tensors, and which
layer a parameter belongs to. Who needs to know asks ``FAMILIES``; nobody asks which family it is.
"""

from collections.abc import Mapping
from typing import Any

from mmrbdc.families.base import Architecture
from mmrbdc.families.deit import FAMILY as DEIT
from mmrbdc.families.deit import DeiTArchitecture
from mmrbdc.families.errors import FamilyError
from mmrbdc.families.family import Family
from mmrbdc.families.options import type_name
from mmrbdc.families.resnet import FAMILY as RESNET
from mmrbdc.families.resnet import ResNetArchitecture

FAMILIES: dict[str, Family[Any]] = {family.name: family for family in (DEIT, RESNET)}
"""All families by name."""


def get_family(name: str) -> Family[Any]:
    """Look a family up.

    Raises:
        FamilyError: there is none of that name.
    """
    if name not in FAMILIES:
        raise FamilyError(f"unknown family '{name}'; there is {', '.join(sorted(FAMILIES))}")
    return FAMILIES[name]


def architecture_from_config(model_cfg: Mapping[str, Any]) -> Architecture:
    """Read family and architecture off the config of an MMPretrain ``ImageClassifier``.

    That of mmrbdc's ``TemplateClassifier`` is the plain model's.

    Raises:
        FamilyError: not a classifier, a backbone of no known family, or an option whose tensors the
            family does not know.
    """
    kind = type_name(model_cfg, "model")
    if kind not in ("ImageClassifier", "TemplateClassifier"):
        raise FamilyError(f"the model is a {kind}; expected an MMPretrain ImageClassifier")
    return _of_backbone(model_cfg.get("backbone")).from_config(model_cfg)


def architecture_from_backbone(backbone_cfg: Mapping[str, Any]) -> Architecture:
    """Read family and architecture off the config of an MMPretrain backbone.

    Its ``head_fields`` mean nothing.

    Raises:
        FamilyError: a backbone of no known family, or an option whose tensors the family does not
            know.
    """
    architecture = _of_backbone(backbone_cfg)
    return architecture.from_config({**architecture.head_of_one_class, "backbone": backbone_cfg})


def architecture_from_dict(values: Mapping[str, Any]) -> Architecture:
    """The architecture that ``to_dict`` wrote, of whatever family.

    Raises:
        FamilyError: an unknown family, or fields missing or unknown.
    """
    return get_family(str(values.get("family"))).architecture.from_dict(values)


def _of_backbone(backbone_cfg: Mapping[str, Any] | None) -> type[Architecture]:
    kind = type_name(backbone_cfg, "backbone")
    for family in FAMILIES.values():
        if kind in family.backbone_types:
            return family.architecture
    known = ", ".join(name for family in FAMILIES.values() for name in family.backbone_types)
    raise FamilyError(f"backbone {kind} belongs to no family; known backbones: {known}")


__all__ = [
    "FAMILIES",
    "Architecture",
    "DeiTArchitecture",
    "Family",
    "FamilyError",
    "ResNetArchitecture",
    "architecture_from_backbone",
    "architecture_from_config",
    "architecture_from_dict",
    "get_family",
]
