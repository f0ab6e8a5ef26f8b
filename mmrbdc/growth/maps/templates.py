"""Weights that are mixtures of templates: which they are, what they are called, how they are mixed.

A model trained as a mixture (MixtureGrowth, arXiv 2311.04251, section 3) has, for each weight that
both writes and reads a channel space, the mixture

``W = a_1 T_1 + a_2 T_2``

of templates of W's shape, and trains templates and coefficients instead of W. Its state dict holds
the templates stacked, (2, *W.shape), and the coefficients, (2,), under the names that
``torch.nn.utils.parametrize`` gives them; everything else is as in the plain model.
"""

import dataclasses
from collections.abc import Mapping

from torch import Tensor

from mmrbdc.growth.layout import Axis, Entry, Layout

TEMPLATES = 2
"""Templates of a weight."""


def is_mixed(entry: Entry) -> bool:
    """Whether a tensor is a mixture: a weight from one channel space to another.

    Where two models are put side by side these are the tensors with off-diagonal blocks.
    """
    return entry.role == "weight" and entry.writes_space and entry.reads_space


def template_names(name: str) -> tuple[str, str]:
    """Names of the templates and of the coefficients of the weight ``name``."""
    module, _, leaf = name.rpartition(".")
    prefix = f"{module}.parametrizations.{leaf}.original"
    return f"{prefix}0", f"{prefix}1"


def template_layout(layout: Layout) -> Layout:
    """Layout of the state dict of a mixture, from that of the plain model."""
    count = Axis.fixed(TEMPLATES, "the number of templates")
    entries = {}
    for name, entry in layout.entries.items():
        if not is_mixed(entry):
            entries[name] = entry
            continue
        templates, coefficients = template_names(name)
        entries[templates] = dataclasses.replace(entry, axes=(count, *entry.axes))
        entries[coefficients] = dataclasses.replace(entry, axes=(count,))
    return Layout(layout.spaces, entries)


def has_templates(state_dict: Mapping[str, Tensor]) -> bool:
    """Whether a state dict is that of a mixture."""
    return any(".parametrizations." in name for name in state_dict)


def mix(templates: Tensor, coefficients: Tensor) -> Tensor:
    """The weight of templates (2, ...) and coefficients (2,).

    Training and growth share this function, so that they have the same bits. Its n multiply-adds a
    template and weight are per step, not per image, and are not in the ledger.
    """
    return coefficients[0] * templates[0] + coefficients[1] * templates[1]


def plain_state(state_dict: Mapping[str, Tensor], layout: Layout) -> dict[str, Tensor]:
    """The state dict of the plain model that computes what a mixture does.

    Args:
        state_dict: the mixture's; tensors that are no mixtures are handed on as they are.
        layout: the plain model's, at any width.
    """
    plain = {}
    for name, entry in layout.entries.items():
        if is_mixed(entry):
            templates, coefficients = template_names(name)
            plain[name] = mix(state_dict[templates], state_dict[coefficients])
        else:
            plain[name] = state_dict[name]
    return plain
