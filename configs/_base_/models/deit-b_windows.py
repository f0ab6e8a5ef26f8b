# DeiT-B of patch 16 as ViTDet's backbone (arXiv 2203.16527): attention within windows of 14 x 14
# tokens, the pretraining's grid, but for four blocks evenly spread, in which every token attends to
# every other; no class token. Its pyramid has strides 4 to 32, and 64 by pooling. For detectors
# that take both by name (`_base_.backbone`, `_base_.neck`).
# Relative positions, which ViTDet adds, are off: they cost time and memory, and no checkpoint has
# them. `--cfg-options model.backbone.rel_pos=True` turns them on for every row of a comparison.
backbone = dict(
    type="mmrbdc.DeiT",
    arch="deit-base",
    img_size=224,
    patch_size=16,
    window_size=14,
    global_blocks=4,
    with_cls_token=False,
    drop_path_rate=0.1,
    # The start from random weights: the pretraining's.
    init_cfg=[
        dict(type="TruncNormal", layer="Linear", std=0.02),
        dict(type="Constant", layer="LayerNorm", val=1.0, bias=0.0),
    ],
)
neck = dict(
    type="mmrbdc.SimpleFeaturePyramid",
    in_channels=768,
    in_stride=16,
    out_channels=256,
    strides=(4, 8, 16, 32),
    num_outs=5,
)
