"""DeiT as a detection backbone: MMPretrain's transformer with windows, one feature map."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from mmpretrain.models.backbones import VisionTransformer
from mmpretrain.models.utils import resize_pos_embed
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mmrbdc.families import DeiTArchitecture, architecture_from_backbone
from mmrbdc.families.options import pair
from mmrbdc.models.backbones.transfer import TransferableBackbone
from mmrbdc.models.backbones.vit_block import Block, GlobalAttention, WindowAttention
from mmrbdc.models.backbones.windows import WindowGrid, global_block_indices
from mmrbdc.registry import MODELS
from mmrbdc.weights import WeightsError

_TOKEN_FIELDS = ("with_cls_token", "distilled")
_TOKENS = ("cls_token", "dist_token")
_POOLED_NORM = ("ln2.weight", "ln2.bias")


@MODELS.register_module()
class DeiT(TransferableBackbone, VisionTransformer):
    """MMPretrain's ``VisionTransformer`` that takes images of any size and returns one map.

    Parameters have MMPretrain's names. With ``window_size=0`` every token attends to every other,
    and at the pretraining's image size the map is MMPretrain's own. With windows only
    ``global_blocks`` do, and the others attend inside non-overlapping windows, as ViTDet does
    (arXiv 2203.16527, section 3).

    The position table keeps its pretraining grid, so a checkpoint always fits; it is resized to the
    image's grid in each forward pass (bicubic, in float32).

    Padding. An image that the patch size does not divide is padded with zeros at its right and
    bottom, up to a whole patch. Where the window does not divide the grid, the last windows are
    smaller: there are no padded tokens (ViTDet pads with zeros and lets tokens attend to them). So
    what a canvas (an image as it comes here) gives depends on that canvas alone, not on the others
    of its batch. The canvas itself is the detector's: MMDetection pads the images of a batch to a
    common size, and those pixels are tokens like others. For answers that do not depend on the
    batch give every image the same canvas: ``data_preprocessor=dict(pad_size_divisor=1024)`` for
    images of at most 1024 px.

    ``forward`` takes (N, 3, H, W) and returns a tuple of one map (N, embed_dims, ceil(H / patch),
    ceil(W / patch)): the last layer's patch tokens behind the final norm.

    Args:
        arch: name of a size or dict of ``embed_dims``, ``num_layers``, ``num_heads``,
            ``feedforward_channels``.
        img_size: image size of the *pretraining*, which fixes the position table.
        patch_size: height and width of a patch, pixels; the map's stride.
        window_size: height and width of a window, patches; 0 for attention over all tokens.
        global_blocks: with windows, the blocks that attend to all tokens: their indices, or a
            number n for the blocks that end n equal parts (4 of 12: 2, 5, 8, 11, ViTDet's choice).
        with_cls_token: whether the class token takes part, as in pretraining. It belongs to no
            window: windows and relative positions need ``False``, and then the token of a
            checkpoint and its row of the position table are left behind, as ViTDet does.
        rel_pos: whether the blocks have decomposed relative positions (see
            :mod:`.relative_positions`), which start at zero: no pretraining has them.
        rel_pos_size: image size whose grid fixes the tables of the global blocks, which are resized
            linearly for others; ``None``: ``img_size``. ViTDet takes the fine-tuning's.
        with_cp: whether to keep only the blocks' inputs and to compute each block again in the
            backward pass.
        frozen_stages: -1 trains everything; n >= 0 freezes embeddings, position table, tokens and
            the first n blocks, and keeps them in eval mode; with n = all, the final norm too.
        kwargs: further arguments of ``mmpretrain.VisionTransformer`` (``drop_path_rate``,
            ``qkv_bias``, ``init_cfg``, ...) but ``out_type`` and ``out_indices``.

    Attributes:
        expected_new: patterns of the tensors that no pretraining has.
        ignored_fields: fields of the architecture in which a checkpoint may differ.

    Raises:
        ValueError: arguments that contradict each other; names both.
    """

    architecture: DeiTArchitecture
    checkpoints_reentrantly = False
    """Whether ``with_cp`` recomputes in torch's reentrant way, as MMPretrain's backbones do."""

    def __init__(
        self,
        arch: str | dict = "deit-base",
        img_size: int | tuple[int, int] = 224,
        patch_size: int | tuple[int, int] = 16,
        window_size: int = 0,
        global_blocks: int | Sequence[int] | None = None,
        with_cls_token: bool = True,
        rel_pos: bool = False,
        rel_pos_size: int | tuple[int, int] | None = None,
        with_cp: bool = False,
        frozen_stages: int = -1,
        **kwargs: Any,
    ) -> None:
        shape = {
            "arch": arch,
            "img_size": img_size,
            "patch_size": patch_size,
            "with_cls_token": with_cls_token,
        }
        architecture = architecture_from_backbone({"type": "VisionTransformer", **shape, **kwargs})
        assert isinstance(architecture, DeiTArchitecture)
        _check_tokens(with_cls_token, window_size, rel_pos, rel_pos_size)
        blocks = global_block_indices(architecture.depth, window_size, global_blocks)
        if not -1 <= frozen_stages <= architecture.depth:
            raise ValueError(
                f"frozen_stages={frozen_stages} of a {architecture.label}: give -1 (none), or 0 to "
                f"{architecture.depth}"
            )
        super().__init__(out_type="featmap", out_indices=-1, **shape, **kwargs)
        self.architecture = architecture
        self.window_size, self.with_cp, self.frozen_stages = window_size, with_cp, frozen_stages
        self.expected_new = ("layers.*.attn.rel_pos_h", "layers.*.attn.rel_pos_w") * rel_pos
        self.ignored_fields = ("pooled_norm", *(() if with_cls_token else _TOKEN_FIELDS))
        tables = replace(architecture, img_size=pair(rel_pos_size or img_size)).grid
        for i, layer in enumerate(self.layers):
            if i in blocks:
                attn = GlobalAttention(layer.attn, tables if rel_pos else None)
            else:
                attn = WindowAttention(layer.attn, (window_size,) * 2 if rel_pos else None)
            self.layers[i] = Block(layer, attn)
        for parameter in self._frozen_parameters():
            parameter.requires_grad = False

    def forward(self, images: Tensor) -> tuple[Tensor]:
        """Return the map, see the class."""
        x, (height, width) = self.patch_embed(images)
        if self.cls_token is not None:
            x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], dim=1)
        x = x + resize_pos_embed(
            self.pos_embed,
            self.patch_resolution,
            (height, width),
            mode=self.interpolate_mode,
            num_extra_tokens=self.num_extra_tokens,
        )
        x = self.pre_norm(self.drop_after_pos(x))
        # Norms, feed-forward layers and global attention do not care for the tokens' order: it is
        # changed once, and the windows of every block are slices.
        grid = None
        if self.cls_token is None:
            grid = WindowGrid(height, width, self.window_size or max(height, width))
            x = grid.to_windows(x)
        for layer in self.layers:
            if self.with_cp and torch.is_grad_enabled():
                x = checkpoint(layer, x, grid, use_reentrant=False)
            else:
                x = layer(x, grid)
        if self.final_norm:
            x = self.ln1(x)
        x = grid.to_rows(x) if grid is not None else x[:, self.num_extra_tokens :]
        return (x.unflatten(1, (height, width)).permute(0, 3, 1, 2),)

    def train(self, mode: bool = True) -> "DeiT":
        """Set the mode, but for what is frozen, and return the backbone."""
        super().train(mode)
        for module in self._frozen_modules():
            module.eval()
        return self

    def adapted(self, tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
        """Return a pretraining's tensors as this backbone takes them, and the names left behind.

        The norm of the pooled vector (``avg_featmap``) is left behind; without a class token so are
        the file's tokens, and their rows at the head of its position table.

        Raises:
            WeightsError: a distilled file for a backbone that keeps the class token.
        """
        tokens = [name for name in _TOKENS if name in tensors]
        if self.cls_token is not None:
            if "dist_token" in tokens:
                raise WeightsError(
                    "the file has a distillation token (dist_token), which mmrbdc.DeiT does not "
                    "keep; build it with with_cls_token=False, which leaves both tokens behind"
                )
            tokens = []
        left = (*tokens, *(name for name in _POOLED_NORM if name in tensors))
        kept = {name: tensor for name, tensor in tensors.items() if name not in left}
        if tokens and "pos_embed" in kept:
            kept["pos_embed"] = kept["pos_embed"][:, len(tokens) :]
        return kept, left

    def _frozen_modules(self) -> list[nn.Module]:
        if self.frozen_stages < 0:
            return []
        embedding = [self.patch_embed, self.drop_after_pos, self.pre_norm]
        last = [self.ln1] if self.frozen_stages == self.num_layers and self.final_norm else []
        return [*embedding, *self.layers[: self.frozen_stages], *last]

    def _frozen_parameters(self) -> list[nn.Parameter]:
        frozen = [p for module in self._frozen_modules() for p in module.parameters()]
        tables = [self.pos_embed, self.cls_token] if self.frozen_stages >= 0 else []
        return frozen + [table for table in tables if table is not None]


def _check_tokens(
    with_cls_token: bool, window: int, rel_pos: bool, rel_pos_size: int | tuple[int, int] | None
) -> None:
    """Refuse a class token where it has no place, and a table size without tables."""
    for needs, value in (("window_size", window), ("rel_pos", rel_pos)):
        if with_cls_token and value:
            raise ValueError(
                f"{needs}={value} with with_cls_token=True: the class token has no place in the "
                "grid of patches; give with_cls_token=False, which leaves a checkpoint's behind"
            )
    if rel_pos_size is not None and not rel_pos:
        raise ValueError(f"rel_pos_size={rel_pos_size} has no effect without rel_pos=True")
