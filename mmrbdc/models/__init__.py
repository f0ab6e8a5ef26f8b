"""Modules: the siblings of a stage, and the backbones and necks that detectors use."""

from mmrbdc.models import backbones, necks
from mmrbdc.models.siblings import Siblings, SiblingsDataPreprocessor
from mmrbdc.models.supernet import Supernet
from mmrbdc.models.templates import TemplateClassifier

__all__ = [
    "Siblings",
    "SiblingsDataPreprocessor",
    "Supernet",
    "TemplateClassifier",
    "backbones",
    "necks",
]
