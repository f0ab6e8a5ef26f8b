"""Hugging Face's ResNet: names, and what ``config.json`` says."""

from typing import Any

from mmrbdc.families.dialect import Dialect
from mmrbdc.families.family import WrittenModel
from mmrbdc.families.names import NameTable
from mmrbdc.families.resnet.architecture import BOTTLENECK_DEPTHS, STAGE_BLOCKS, ResNetArchitecture

_LAYER = "encoder.stages.{s}.layers.{b}"

DIALECTS = (
    Dialect(
        libraries=("huggingface",),
        backbone=NameTable(
            [
                ("embedder.embedder.convolution", "conv1"),
                ("embedder.embedder.normalization", "bn1"),
                (f"{_LAYER}.layer.{{c}}.convolution", "layer{s+1}.{b}.conv{c+1}"),
                (f"{_LAYER}.layer.{{c}}.normalization", "layer{s+1}.{b}.bn{c+1}"),
                (f"{_LAYER}.shortcut.convolution", "layer{s+1}.{b}.downsample.0"),
                (f"{_LAYER}.shortcut.normalization", "layer{s+1}.{b}.downsample.1"),
            ]
        ),
        head=NameTable([("classifier.1", "head.fc")]),
        roots=("resnet.", ""),
        markers=("embedder.embedder.convolution.weight",),
        needs=("conv1.weight",),
        facts={"style": "pytorch", "strides": (1, 2, 2, 2)},
        reading=(
            "taken for a ResNet whose config.json says downsample_in_bottleneck=false and "
            "downsample_in_first_stage=false, the defaults",
        ),
    ),
)


def config(model: WrittenModel[ResNetArchitecture]) -> tuple[dict[str, Any], list[str]]:
    """What transformers needs to build the model, and notes for a reader."""
    own = model.architecture
    has_head = any("classifier" in name for name in model.tensors)
    return dict(
        num_channels=own.in_channels,
        embedding_size=own.stem_channels,
        hidden_sizes=[own.base_channels * own.expansion * 2**i for i in range(own.num_stages)],
        depths=list(STAGE_BLOCKS[own.depth][: own.num_stages]),
        layer_type="bottleneck" if own.depth in BOTTLENECK_DEPTHS else "basic",
        hidden_act="relu",
        downsample_in_first_stage=False,
        downsample_in_bottleneck=own.style == "caffe",
        architectures=["ResNet" + ("ForImageClassification" if has_head else "Model")],
        model_type="resnet",
    ), []
