"""MMPretrain's transformer layer with attention over all tokens or inside windows.

The classes take over the modules of a layer that MMPretrain's ViT has built, so that names, initial
values and initialisers stay MMPretrain's.
"""

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmpretrain.models.backbones.vision_transformer import TransformerEncoderLayer
from mmpretrain.models.utils import MultiheadAttention
from torch import Tensor, nn

from mmrbdc.models.backbones.relative_positions import extend_by_relative_positions, fitted_table
from mmrbdc.models.backbones.windows import WindowGrid, WindowGroup


class GlobalAttention(MultiheadAttention):
    """Every token attends to every other.

    Args:
        attn: MMPretrain's module, whose parameters this one takes over under the same names.
        tables: rows and columns of the grid that fixes the size of the tables of relative positions
            ``rel_pos_h`` and ``rel_pos_w``, which start at zero; ``None``: without.
    """

    def __init__(self, attn: MultiheadAttention, tables: tuple[int, int] | None) -> None:
        BaseModule.__init__(self)
        self.num_heads, self.head_dims = attn.num_heads, attn.head_dims
        self.qkv, self.proj, self.attn_drop = attn.qkv, attn.proj, attn.attn_drop
        self.proj_drop, self.gamma1, self.out_drop = attn.proj_drop, attn.gamma1, attn.out_drop
        self.has_tables = tables is not None
        if tables is not None:
            height, width = tables
            self.rel_pos_h = nn.Parameter(torch.zeros(2 * height - 1, self.head_dims))
            self.rel_pos_w = nn.Parameter(torch.zeros(2 * width - 1, self.head_dims))

    def forward(self, x: Tensor, grid: WindowGrid | None) -> Tensor:
        """Map (N, tokens, C) to the same shape.

        Args:
            x: the tokens; with relative positions in the order of the grid's windows.
            grid: the grid they come from, or ``None`` where their places do not matter.
        """
        return self._finish(self.proj(self._attend_everywhere(self.qkv(x), grid)))

    def _attend_everywhere(self, qkv: Tensor, grid: WindowGrid | None) -> Tensor:
        whole = WindowGroup(1, 1, 1, qkv.shape[1])
        if not self.has_tables:
            return self._attend(qkv, whole, None)
        assert grid is not None
        whole = WindowGroup(1, 1, grid.height, grid.width)
        tables = (
            fitted_table(self.rel_pos_h, grid.height),
            fitted_table(self.rel_pos_w, grid.width),
        )
        return grid.to_windows(self._attend(grid.to_rows(qkv), whole, tables))

    def _attend(
        self, qkv: Tensor, group: WindowGroup, tables: tuple[Tensor, Tensor] | None
    ) -> Tensor:
        """Attention inside each window: (N, tokens, 3 C) to (N, tokens, C)."""
        shape = (group.count, group.height * group.width)
        q, k, v = (
            part.unflatten(1, shape).flatten(0, 1).transpose(1, 2)
            for part in qkv.unflatten(-1, (3, self.num_heads, self.head_dims)).unbind(2)
        )
        scale = None
        if tables is not None:
            grid = (group.height, group.width)
            q, k, v = extend_by_relative_positions(q, k, v, grid, tables)
            scale = 1.0
        drop = self.attn_drop if self.training else 0.0
        out = F.scaled_dot_product_attention(q, k, v, dropout_p=drop, scale=scale)
        return out[..., : self.head_dims].transpose(1, 2).reshape(*qkv.shape[:2], -1)

    def _finish(self, x: Tensor) -> Tensor:
        return self.out_drop(self.gamma1(self.proj_drop(x)))


class WindowAttention(GlobalAttention):
    """Every token attends to the tokens of its own window; see :mod:`.windows`.

    The largest attention matrix is that of a full window: no mask is made, and no padded token
    exists that one could attend to.
    """

    def forward(self, x: Tensor, grid: WindowGrid | None) -> Tensor:
        """Map (N, tokens, C), in the order of the grid's windows, to the same shape."""
        assert grid is not None
        tables = (self.rel_pos_h, self.rel_pos_w) if self.has_tables else None
        parts = self.qkv(x).split(grid.sizes, dim=1)
        # Projected group by group: joined before, the attention's output would be kept twice.
        out = [
            self.proj(self._attend(part, group, tables))
            for part, group in zip(parts, grid.groups, strict=True)
        ]
        return self._finish(torch.cat(out, dim=1) if len(out) > 1 else out[0])


class Block(TransformerEncoderLayer):
    """A layer of MMPretrain's ViT, its attention replaced.

    Args:
        layer: MMPretrain's layer, whose modules this one takes over under the same names.
        attn: what replaces its attention.
    """

    def __init__(self, layer: TransformerEncoderLayer, attn: GlobalAttention) -> None:
        BaseModule.__init__(self)
        self.embed_dims = layer.embed_dims
        self.ln1, self.attn, self.ln2, self.ffn = layer.ln1, attn, layer.ln2, layer.ffn

    def forward(self, x: Tensor, grid: WindowGrid | None) -> Tensor:
        """Map (N, tokens, C) to the same shape; ``grid`` as the attention takes it."""
        x = x + self.attn(self.ln1(x), grid)
        return self.ffn(self.ln2(x), identity=x)
