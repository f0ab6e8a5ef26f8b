"""What the names and shapes of a ResNet's tensors tell of its architecture."""

from typing import Any

from mmrbdc.families.backbone_tensors import BackboneTensors
from mmrbdc.families.errors import FamilyError
from mmrbdc.families.resnet.architecture import BOTTLENECK_DEPTHS, STAGE_BLOCKS, ResNetArchitecture


def fields(found: BackboneTensors, like: ResNetArchitecture | None) -> dict[str, Any]:
    """Read the fields of a :class:`ResNet`: all but its style and strides.

    Raises:
        FamilyError: a tensor is missing without which nothing can be said, or the blocks are those
            of no known ResNet.
    """
    deep_stem = found.has("stem.0.conv.weight")
    bottleneck = found.has("layer1.0.conv3.weight")
    inner = found.shape("layer1.0.conv1.weight", 4)[0]
    outer = found.shape(f"layer1.0.conv{3 if bottleneck else 2}.weight", 4)[0]
    stages = found.count("layer{}.0.conv1.weight", start=1)
    blocks = tuple(found.count(f"layer{s + 1}.{{}}.conv1.weight") for s in range(stages))
    classes = found.outputs("head.fc.weight")
    return dict(
        depth=_depth(blocks, bottleneck),
        base_channels=inner,
        stem_channels=found.shape("stem.2.conv.weight" if deep_stem else "conv1.weight", 4)[0],
        num_stages=stages,
        strides=(1, 2, 2, 2)[:stages],
        expansion=outer // inner,
        deep_stem=deep_stem,
        avg_down=any(found.has(f"layer{s + 1}.0.downsample.2.weight") for s in range(stages)),
        in_channels=found.shape("stem.0.conv.weight" if deep_stem else "conv1.weight", 4)[1],
        **({} if classes is None else {"num_classes": classes}),
    )


def _depth(blocks: tuple[int, ...], bottleneck: bool) -> int:
    for depth, known in STAGE_BLOCKS.items():
        if known[: len(blocks)] == blocks and (depth in BOTTLENECK_DEPTHS) == bottleneck:
            return depth
    raise FamilyError(
        f"it is a ResNet of {blocks} {'bottleneck' if bottleneck else 'basic'} blocks; known are "
        f"the ResNets {', '.join(map(str, STAGE_BLOCKS))}"
    )
