"""The sizes of MMPretrain's ``VisionTransformer`` by name."""

from collections.abc import Mapping

from mmrbdc.families.errors import FamilyError

ARCH_KEYS = ("embed_dims", "num_layers", "num_heads", "feedforward_channels")
ARCHS: dict[str, tuple[int, int, int, int]] = {
    **dict.fromkeys(("s", "small"), (768, 8, 8, 2304)),
    **dict.fromkeys(("b", "base"), (768, 12, 12, 3072)),
    **dict.fromkeys(("l", "large"), (1024, 24, 16, 4096)),
    **dict.fromkeys(("h", "huge"), (1280, 32, 16, 5120)),
    **dict.fromkeys(("deit-t", "deit-tiny"), (192, 12, 3, 768)),
    **dict.fromkeys(("deit-s", "deit-small", "dinov2-s", "dinov2-small"), (384, 12, 6, 1536)),
    **dict.fromkeys(("deit-b", "deit-base"), (768, 12, 12, 3072)),
    **dict.fromkeys(("eva-g", "eva-giant"), (1408, 40, 16, 6144)),
    **dict.fromkeys(("dinov2-g", "dinov2-giant"), (1536, 40, 24, 6144)),
}
"""MMPretrain's names of ViT sizes: embed_dims, num_layers, num_heads, feedforward_channels."""

DEFAULT_ARCH = {"VisionTransformer": "base", "DistilledVisionTransformer": "deit-base"}
"""What the backbones are without the option ``arch``."""


def read_arch(arch: str | Mapping[str, int], what: str) -> dict[str, int]:
    """A size by MMPretrain's name, or as a dict.

    Args:
        arch: the option ``arch`` of the backbone.
        what: what messages call the config.

    Raises:
        FamilyError: an unknown name, or a dict that lacks something.
    """
    if isinstance(arch, str):
        if arch.lower() not in ARCHS:
            raise FamilyError(f"{what}: unknown arch '{arch}'; known: {', '.join(ARCHS)}")
        return dict(zip(ARCH_KEYS, ARCHS[arch.lower()], strict=True))
    missing = [key for key in ARCH_KEYS if key not in arch]
    if missing:
        raise FamilyError(f"{what}: the arch {dict(arch)} lacks {', '.join(missing)}")
    return {key: arch[key] for key in ARCH_KEYS}
