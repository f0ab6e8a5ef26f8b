"""Layer-wise decay of the learning rate, for a detector's backbone.

Pretrained early layers need smaller steps than new heads. With ``n`` layers (blocks of a
transformer, stages of a ResNet) the learning rate of layer ``i`` is the optimizer's times::

    decay_rate ** (n + 1 - i)

where layer 0 is the stem (patch embedding, tokens, position table), layers 1 to ``n`` are the
blocks, and ``n + 1`` is all that follows: the final norm, neck and heads, whose scale is 1. That is
the rule by which BEiT (arXiv 2106.08254) and ViTDet (arXiv 2203.16527) are fine-tuned.
"""

import logging
from typing import Any

from mmengine.logging import MMLogger
from mmengine.optim import DefaultOptimWrapperConstructor
from torch import nn

from mmrbdc.config_parts import check_keys
from mmrbdc.engine.optim.siblings import at_level, merged_groups
from mmrbdc.models.backbones import own_backbones
from mmrbdc.registry import OPTIM_WRAPPER_CONSTRUCTORS

TOKENS_AND_TABLES = ("cls_token", "dist_token", "pos_embed", "rel_pos_h", "rel_pos_w")
"""Last part of the names that ``token_decay_mult`` is for."""

_DECAY_MULTS = ("norm_decay_mult", "bias_decay_mult", "flat_decay_mult", "token_decay_mult")
_KEYS = ("decay_rate", *_DECAY_MULTS, "custom_keys", "bypass_duplicate")
_CUSTOM_KEYS = ("lr_mult", "decay_mult")


class LayerDecayError(ValueError):
    """Layer-wise decay that would not do what its config says; the message says why."""


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Build an optimizer whose learning rate falls from the heads to the backbone's first layer.

    For any model with a ``backbone`` that has ``layer_of(name) -> int`` and ``num_layers``
    (``mmrbdc.DeiT``, ``mmrbdc.ResNet``, ``ResNetV1c``, ``ResNetV1d``)::

        optim_wrapper = dict(
            optimizer=dict(type='AdamW', lr=1e-4, weight_decay=0.1),
            constructor='mmrbdc.LayerDecayOptimWrapperConstructor',
            paramwise_cfg=dict(decay_rate=0.7, norm_decay_mult=0.0, token_decay_mult=0.0))

    Parameters of equal learning rate and weight decay share one group. Frozen parameters get none.
    Schedulers that multiply (``LinearLR``, ``MultiStepLR``, ``CosineAnnealingLR`` to zero) keep
    the ratios.

    MMDetection 3.3's ``LearningRateDecayOptimizerConstructor`` has the same rule for the names of
    ConvNeXt alone, with the number of layers in the config. MMPretrain 1.2's
    ``LearningRateDecayOptimWrapperConstructor`` asks the whole model for ``get_layer_depth``, which
    no detector has, makes one group per parameter and ignores ``lr_mult``; ResNet-50 has six
    layers there, for it splits stages 2 and 3.

    Args:
        optim_wrapper_cfg: as for MMEngine's ``DefaultOptimWrapperConstructor``; ``optimizer`` names
            its ``lr``, and ``weight_decay`` where that is scaled.
        paramwise_cfg: a dict of ``decay_rate`` (above 0, at most 1; required) and, each optional,
            the multipliers of the weight decay ``norm_decay_mult``, ``bias_decay_mult``,
            ``flat_decay_mult`` (tensors of one dimension) and ``token_decay_mult`` (the backbone's
            class and distillation token and its position tables); ``custom_keys``, which map a part
            of a name to ``lr_mult`` and ``decay_mult`` and win over the other multipliers; and
            ``bypass_duplicate`` for modules that share parameters.

    Raises:
        LayerDecayError: an unknown key or a rate out of range; called with a model: a backbone
            without layers, a parameter without a layer, or all parameters in one layer.
    """

    def _validate_cfg(self) -> None:
        """Raise for what MMEngine would pass over, beside what it checks itself."""
        check_keys(self.paramwise_cfg, _KEYS, "paramwise_cfg", LayerDecayError)
        scaled = [key for key in _DECAY_MULTS if key in self.paramwise_cfg]
        for key, options in self.paramwise_cfg.get("custom_keys", {}).items():
            where = f"custom_keys[{key!r}]"
            check_keys(options, _CUSTOM_KEYS, f"paramwise_cfg.{where}", LayerDecayError)
            scaled += [where] * ("decay_mult" in options)
        rate = self.paramwise_cfg.get("decay_rate")
        if not isinstance(rate, int | float) or not 0 < rate <= 1:
            raise LayerDecayError(
                f"paramwise_cfg.decay_rate is {rate!r}: give a number above 0 and at most 1, "
                "0.65 to 0.8 for a transformer"
            )
        if self.base_lr is None:
            raise LayerDecayError("optim_wrapper.optimizer has no lr: there is nothing to scale")
        if scaled and self.base_wd is None:
            raise LayerDecayError(
                f"optim_wrapper.optimizer has no weight_decay, and paramwise_cfg scales it by "
                f"{', '.join(scaled)}: give it, or leave the multipliers out"
            )
        super()._validate_cfg()

    def add_params(
        self,
        params: list[dict],
        module: nn.Module,
        prefix: str = "",
        is_dcn_module: int | float | None = None,
    ) -> None:
        """Collect the groups of ``module``; at the root, scale them by layer and merge them."""
        if prefix:
            super().add_params(params, module, prefix, is_dcn_module)
            return
        with at_level(logging.ERROR):  # MMEngine logs a line a parameter
            super().add_params(params, module, prefix, is_dcn_module)
        layers, top = parameter_layers(module)
        names = {id(parameter): name for name, parameter in module.named_parameters()}
        of_layer: dict[int, list[dict]] = {layer: [] for layer in range(top + 1)}
        for group in params:
            name = names.pop(id(group["params"][0]), None)
            if name is None:
                raise LayerDecayError(
                    f"a parameter of shape {tuple(group['params'][0].shape)} belongs to several "
                    "modules: set paramwise_cfg.bypass_duplicate=True"
                )
            self._set_options(group, name, scale=self._scale(layers[name], top))
            of_layer[layers[name]].append(group)
        for layer, groups in of_layer.items():
            MMLogger.get_current_instance().info(_line(layer, self._scale(layer, top), groups))
        params[:] = merged_groups(params)

    def _scale(self, layer: int, top: int) -> float:
        return self.paramwise_cfg["decay_rate"] ** (top - layer)

    def _set_options(self, group: dict, name: str, scale: float) -> None:
        """Reduce the options of one parameter to its learning rate and weight decay."""
        group.setdefault("lr", self.base_lr)
        group["lr"] *= scale
        for key in _CUSTOM_KEYS:  # MMEngine leaves them in the group
            group.pop(key, None)
        if self.base_wd is None:
            return
        group.setdefault("weight_decay", self.base_wd)
        is_token = name.startswith("backbone.") and name.split(".")[-1] in TOKENS_AND_TABLES
        is_custom = any(key in name for key in self.paramwise_cfg.get("custom_keys", {}))
        if is_token and not is_custom and "token_decay_mult" in self.paramwise_cfg:
            group["weight_decay"] = self.base_wd * self.paramwise_cfg["token_decay_mult"]


def parameter_layers(model: nn.Module) -> tuple[dict[str, int], int]:
    """Return the layer of every parameter by name, and the layer of neck and heads.

    Raises:
        LayerDecayError: a backbone without layers, a parameter without a layer, or all parameters
            of the backbone in one layer.
    """
    backbone: Any = getattr(model, "backbone", None)
    if not (hasattr(backbone, "layer_of") and hasattr(backbone, "num_layers")):
        raise LayerDecayError(
            f"the backbone of {type(model).__name__} is {type(backbone).__name__}, which has no "
            f"layer_of and num_layers: use one of {', '.join(own_backbones())}, or leave the "
            "constructor out of optim_wrapper"
        )
    top = backbone.num_layers + 1
    layers: dict[str, int] = {}
    for name, _ in model.named_parameters():
        if not name.startswith("backbone."):
            layers[name] = top
            continue
        try:
            layer = backbone.layer_of(name.removeprefix("backbone."))
        except ValueError as error:
            raise LayerDecayError(f"{name} has no layer: {error}") from error
        if not 0 <= layer <= top:
            raise LayerDecayError(
                f"{name} is in layer {layer}, but {type(backbone).__name__} has layers 0 to {top}: "
                "correct its layer_of or num_layers"
            )
        layers[name] = layer
    used = {layer for name, layer in layers.items() if name.startswith("backbone.")}
    if len(used) < 2:
        raise LayerDecayError(
            f"all parameters of the backbone {type(backbone).__name__} are in layer "
            f"{', '.join(map(str, used))}: nothing would decay; correct its layer_of, or leave the "
            "constructor out of optim_wrapper"
        )
    return layers, top


def _line(layer: int, scale: float, groups: list[dict]) -> str:
    if not groups:
        return f"layer {layer}: lr scale {scale:.4g}, frozen or without parameters"
    decays = sorted({group["weight_decay"] for group in groups if "weight_decay" in group})
    numbers = sum(parameter.numel() for group in groups for parameter in group["params"])
    return (
        f"layer {layer}: lr scale {scale:.4g}, weight decay "
        f"{' and '.join(f'{decay:g}' for decay in decays) or 'none'}, "
        f"{len(groups)} tensors, {numbers:,} parameters"
    )
