"""A classifier whose weights are trained as mixtures of templates: a member of MixtureGrowth."""

import copy
import math
from collections.abc import Mapping
from typing import Any

import torch
from mmpretrain.models import ImageClassifier
from torch import Tensor, nn
from torch.nn.utils import parametrize

from mmrbdc.families import architecture_from_config
from mmrbdc.growth.maps.templates import is_mixed, mix, plain_state
from mmrbdc.registry import MODELS


class TemplateMixture(nn.Module):
    """``W = a_1 T_1 + a_2 T_2``, for ``torch.nn.utils.parametrize``."""

    def forward(self, templates: Tensor, coefficients: Tensor) -> Tensor:
        """Return the weight of templates (2, *shape) and coefficients (2,)."""
        return mix(templates, coefficients)

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Draw templates and coefficients that mix to ``weight``, up to rounding.

        With a random unit vector *a*, the vector *b* orthogonal to it, and Gaussian *G* of the
        weight's standard deviation, ``T_t = a_t W + b_t G``: the templates together span W and G.
        """
        angle = 2 * math.pi * torch.rand((), dtype=weight.dtype, device=weight.device)
        coefficients = torch.stack((angle.cos(), angle.sin()))
        other = torch.randn_like(weight) * weight.std(correction=0)
        first, second = coefficients
        return torch.stack((first * weight - second * other, second * weight + first * other)), (
            coefficients
        )


@MODELS.register_module()
class TemplateClassifier(ImageClassifier):
    """MMPretrain's ``ImageClassifier`` with a mixture for each weight between channel spaces.

    Those are the weights that have off-diagonal blocks where two models are put side by side; patch
    embedding, stem, classifier, biases, norms and tokens are plain. It starts as the plain
    classifier does that is constructed and initialised from the same seeds, up to rounding: what
    templates need beyond it is drawn afterwards.

    Weight decay pulls on templates, not on their mixture; gradients are clipped by their norm over
    templates and coefficients; an average of the model (``EMAHook``) averages both apart.

    Args:
        config: as for ``ImageClassifier``, backbone, neck and head as config dicts.

    Raises:
        FamilyError: an architecture of no known family.
    """

    def __init__(self, **config: Any) -> None:
        self._layout = architecture_from_config({"type": "ImageClassifier", **config}).layout()
        unused = ("data_preprocessor", "train_cfg")
        self._plain = {k: copy.deepcopy(v) for k, v in config.items() if k not in unused}
        super().__init__(**config)
        self._mixed = [name for name, entry in self._layout.entries.items() if is_mixed(entry)]
        for name in self._mixed:
            module, _, leaf = name.rpartition(".")
            parametrize.register_parametrization(
                self.get_submodule(module), leaf, TemplateMixture()
            )

    def plain_state_dict(self) -> dict[str, Tensor]:
        """The state dict of the plain classifier that computes the same, without gradients."""
        return plain_state(self.state_dict(), self._layout)

    @torch.no_grad()
    def load_plain_state_dict(self, state_dict: Mapping[str, Tensor]) -> None:
        """Take over the weights of a plain classifier, up to rounding.

        Templates and coefficients are drawn, see :class:`TemplateMixture`. Parameters are filled,
        not replaced: an optimizer keeps them.
        """
        own = self.state_dict()
        for name, value in state_dict.items():
            if name in self._mixed:
                module, _, leaf = name.rpartition(".")
                setattr(self.get_submodule(module), leaf, value)
            else:
                own[name].copy_(value)

    @torch.no_grad()
    def init_weights(self) -> None:
        """Initialise a plain classifier of this config, and make its weights this one's.

        Initialisers write into weights, which mixtures do not have.
        """
        with torch.random.fork_rng(devices=[]):
            plain = ImageClassifier(**copy.deepcopy(self._plain))
        plain.load_state_dict(self.plain_state_dict())
        plain.to(next(self.parameters()).device)
        plain.init_weights()
        self.load_plain_state_dict(plain.state_dict())
        self.is_init = True
