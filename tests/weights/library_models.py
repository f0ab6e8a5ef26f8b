"""Small models of other libraries with random weights, what they compute, and MMPretrain's twins.

timm's and torchvision's are the real ones. For Hugging Face see samples/make_samples.py.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from timm.models.deit import VisionTransformerDistilled
from timm.models.resnet import BasicBlock, Bottleneck
from timm.models.resnet import ResNet as TimmResNet
from timm.models.vision_transformer import VisionTransformer as TimmViT
from torch import Tensor, nn
from torchvision.models import resnet
from torchvision.models.vision_transformer import VisionTransformer as TorchvisionViT

from tests.weights.samples.make_samples import sample_images, sample_tensor

SAMPLES = Path(__file__).parent / "samples"


@dataclass(frozen=True)
class LibraryModel:
    """A model of another library.

    Attributes:
        library: whose.
        build: makes its tensors and what it computes for the sample images, in eval mode.
        backbone: MMPretrain's backbone config for the same function.
        head: class name of MMPretrain's head.
        width: channels that the head reads.
    """

    library: str
    build: Callable[[], tuple[dict[str, Tensor], Tensor]]
    backbone: dict[str, Any]
    head: str
    width: int

    def classifier(self) -> dict[str, Any]:
        """Config of MMPretrain's classifier."""
        neck = {} if self.is_vit else dict(neck=dict(type="GlobalAveragePooling"))
        head = dict(type=self.head, num_classes=5, in_channels=self.width)
        return dict(type="ImageClassifier", backbone=self.backbone, head=head, **neck)

    @property
    def is_vit(self) -> bool:
        return "Transformer" in self.backbone["type"]


def randomise(module: nn.Module, seed: int = 0) -> None:
    """Give every tensor random values of a size that keeps activations about 1."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in module.state_dict().items():
        if name.endswith("num_batches_tracked"):
            tensor.fill_(7)
        elif name.endswith("running_var"):
            tensor.uniform_(0.5, 2, generator=generator)
        elif tensor.ndim > 1 and tensor.shape[0] > 1:
            tensor.normal_(0, (2 / tensor[0].numel()) ** 0.5, generator=generator)
        else:
            scale = float(tensor.ndim == 1 and name.endswith("weight"))
            tensor.normal_(scale, 0.3, generator=generator)


def live(make: Callable[[], nn.Module]) -> tuple[dict[str, Tensor], Tensor]:
    """Tensors of a real model, float32, and its logits, computed in float64."""
    model = make().eval()
    randomise(model)
    tensors = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with torch.no_grad():
        return tensors, model.double()(sample_images().double())


def kept(name: str) -> tuple[dict[str, Tensor], Tensor]:
    """Tensors and output of a sample, both float32."""
    sample = json.loads((SAMPLES / f"{name}.json").read_text())
    tensors = {key: sample_tensor(key, shape) for key, shape in sample["tensors"].items()}
    return tensors, torch.tensor(sample["output"])


def vit(width: int = 32, heads: int = 4, kind: str = "VisionTransformer", **more: Any) -> dict:
    """MMPretrain's backbone of 2 layers on 32 px images."""
    arch = dict(embed_dims=width, num_layers=2, num_heads=heads, feedforward_channels=2 * width)
    return dict(type=kind, arch=arch, img_size=32, patch_size=8, **more)


def res(depth: int, base: int, stem: int = 64, kind: str = "ResNet", **more: Any) -> dict:
    """MMPretrain's ResNet."""
    return dict(type=kind, depth=depth, base_channels=base, stem_channels=stem, **more)


TIMM_VIT = dict(
    img_size=32, patch_size=8, num_classes=5, embed_dim=32, depth=2, num_heads=4, mlp_ratio=2
)
TIMM_RESNET = dict(num_classes=5, channels=(8, 16, 32, 64))
DEEP = dict(TIMM_RESNET, stem_type="deep", stem_width=8)
TORCHVISION_VIT = dict(
    image_size=32,
    patch_size=8,
    num_layers=2,
    num_heads=4,
    hidden_dim=32,
    mlp_dim=64,
    num_classes=5,
)
HF_NORM = dict(norm_cfg=dict(type="LN", eps=1e-12))
VIT_HEAD = "VisionTransformerClsHead"


def _live(make: Callable[..., nn.Module], *args: Any, **options: Any) -> Callable:
    return partial(live, partial(make, *args, **options))


MODELS = {
    "timm-vit": LibraryModel("timm", _live(TimmViT, **TIMM_VIT), vit(), VIT_HEAD, 32),
    "timm-deit-distilled": LibraryModel(
        "timm",
        _live(VisionTransformerDistilled, **TIMM_VIT),
        vit(kind="DistilledVisionTransformer"),
        "DeiTClsHead",
        32,
    ),
    "timm-deit3": LibraryModel(
        "timm",
        _live(TimmViT, **TIMM_VIT, no_embed_class=True, init_values=0.1),
        vit(layer_scale_init_value=0.1),
        VIT_HEAD,
        32,
    ),
    "timm-vit-avg": LibraryModel(
        "timm",
        _live(TimmViT, **TIMM_VIT, global_pool="avg"),
        vit(out_type="avg_featmap", final_norm=False),
        "LinearClsHead",
        32,
    ),
    "timm-vit-pre-norm": LibraryModel(
        "timm", _live(TimmViT, **TIMM_VIT, pre_norm=True), vit(pre_norm=True), VIT_HEAD, 32
    ),
    "timm-vit-no-bias": LibraryModel(
        "timm", _live(TimmViT, **TIMM_VIT, qkv_bias=False), vit(qkv_bias=False), VIT_HEAD, 32
    ),
    "timm-resnet18": LibraryModel(
        "timm",
        _live(TimmResNet, BasicBlock, (2, 2, 2, 2), **TIMM_RESNET),
        res(18, 8),
        "LinearClsHead",
        64,
    ),
    "timm-resnet50": LibraryModel(
        "timm",
        _live(TimmResNet, Bottleneck, (3, 4, 6, 3), **TIMM_RESNET),
        res(50, 8),
        "LinearClsHead",
        256,
    ),
    "timm-resnet50c": LibraryModel(
        "timm",
        _live(TimmResNet, Bottleneck, (3, 4, 6, 3), **DEEP),
        res(50, 8, stem=16, kind="ResNetV1c"),
        "LinearClsHead",
        256,
    ),
    "timm-resnet50d": LibraryModel(
        "timm",
        _live(TimmResNet, Bottleneck, (3, 4, 6, 3), **DEEP, avg_down=True),
        res(50, 8, stem=16, kind="ResNetV1d"),
        "LinearClsHead",
        256,
    ),
    "timm-resnet18d": LibraryModel(
        "timm",
        _live(TimmResNet, BasicBlock, (2, 2, 2, 2), **dict(DEEP, stem_width=4), avg_down=True),
        res(18, 8, stem=8, kind="ResNetV1d"),
        "LinearClsHead",
        64,
    ),
    "torchvision-vit": LibraryModel(
        "torchvision", _live(TorchvisionViT, **TORCHVISION_VIT), vit(), VIT_HEAD, 32
    ),
    "torchvision-resnet50": LibraryModel(
        "torchvision",
        _live(resnet.ResNet, resnet.Bottleneck, [3, 4, 6, 3], num_classes=5, width_per_group=8),
        res(50, 8, expansion=32),
        "LinearClsHead",
        2048,
    ),
    "huggingface-vit": LibraryModel(
        "huggingface", partial(kept, "vit"), vit(16, 2, **HF_NORM), VIT_HEAD, 16
    ),
    "huggingface-deit-teacher": LibraryModel(
        "huggingface",
        partial(kept, "deit-teacher"),
        vit(16, 2, kind="DistilledVisionTransformer", **HF_NORM),
        "DeiTClsHead",
        16,
    ),
    "huggingface-resnet18": LibraryModel(
        "huggingface", partial(kept, "resnet-18"), res(18, 4, 4), "LinearClsHead", 32
    ),
    "huggingface-resnet50": LibraryModel(
        "huggingface", partial(kept, "resnet-50"), res(50, 4, 4), "LinearClsHead", 128
    ),
}
