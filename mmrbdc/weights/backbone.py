"""The backbone inside a checkpoint."""

from torch import Tensor

from .errors import WeightsError
from .read import Checkpoint

PREFIX = "backbone."


def backbone_state_dict(checkpoint: Checkpoint) -> tuple[dict[str, Tensor], str]:
    """Return the backbone's tensors under the backbone's own names, and the prefix removed.

    A classifier's file (or a detector's) has its backbone under ``backbone.``; a file without any
    such name is taken for a backbone-only file, prefix ``''``.

    Raises:
        WeightsError: neither: no ``backbone.`` names, but a head's or a neck's.
    """
    tensors = checkpoint.state_dict
    inside = {n[len(PREFIX) :]: t for n, t in tensors.items() if n.startswith(PREFIX)}
    if inside:
        return inside, PREFIX
    if any(name.startswith(("head.", "neck.")) for name in tensors):
        raise WeightsError(
            f"{checkpoint.path} has a head and no backbone: no name begins with {PREFIX!r} "
            f"(first names: {', '.join(list(tensors)[:4])})"
        )
    return dict(tensors), ""
