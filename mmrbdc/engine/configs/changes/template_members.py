"""Stages whose members are trained as mixtures of templates."""

from mmengine.config import Config

from mmrbdc.growth.maps.templates import template_names

COEFFICIENTS = template_names("weight")[1].lstrip(".")
"""What the names of all coefficients end with."""


def train_templates(config: Config) -> None:
    """Make the members of a stage mixtures of templates, in place.

    Coefficients have no weight decay, as in MixtureGrowth (arXiv 2311.04251); templates have that
    of the weights. This is an entry of ``paramwise_cfg.custom_keys``, so it is in the stage's
    dumped config. It gives the option itself rather than ``decay_mult``, which MMEngine refuses
    where the optimizer's decay is its default.

    Args:
        config: a staged config as one stage sees it.
    """
    config.model.type = "mmrbdc.TemplateClassifier"
    paramwise = dict(config.optim_wrapper.get("paramwise_cfg") or {})
    custom = {**(paramwise.get("custom_keys") or {}), COEFFICIENTS: dict(weight_decay=0.0)}
    config.optim_wrapper.paramwise_cfg = dict(paramwise, custom_keys=custom)
