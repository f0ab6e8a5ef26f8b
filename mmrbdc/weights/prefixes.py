"""The names that wrappers put in front of parameter names, and their removal."""

from collections.abc import Mapping

from torch import Tensor

COMPILE_SEGMENT = "_orig_mod."
DDP_PREFIX = "module."


def strip_wrapper_prefixes(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Remove what ``torch.compile`` and DDP add to names; the order of the entries is kept.

    ``_orig_mod.`` is removed wherever it stands (a compiled submodule has it inside the name),
    ``module.`` only when every name starts with it.
    """
    stripped = {name.replace(COMPILE_SEGMENT, ""): value for name, value in state_dict.items()}
    while stripped and all(name.startswith(DDP_PREFIX) for name in stripped):
        stripped = {name[len(DDP_PREFIX) :]: value for name, value in stripped.items()}
    return stripped
