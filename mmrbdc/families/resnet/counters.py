"""BatchNorm's counters, which PyTorch has since 0.4.1."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from mmrbdc.families.resnet.architecture import ResNetArchitecture

_COUNTER, _STATISTICS = ".num_batches_tracked", ".running_mean"


def with_counters(
    tensors: Mapping[str, Tensor], like: ResNetArchitecture | None, libraries: Sequence[str]
) -> tuple[dict[str, Tensor], list[str]]:
    """Add the counters to a file that has none; returns the tensors, and what was done."""
    if any(name.endswith(_COUNTER) for name in tensors):
        return dict(tensors), []
    missing = [n.removesuffix(_STATISTICS) for n in tensors if n.endswith(_STATISTICS)]
    zero = next(iter(tensors.values())).new_zeros(()).long()
    note = "an old file without BatchNorm's counters: they start at zero"
    return {**tensors, **{name + _COUNTER: zero.clone() for name in missing}}, [note]
