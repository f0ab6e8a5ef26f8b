# The smallest DeiT that couples twice: one head a quarter-width member. For 32 px digits.
# Linear layers start with Xavier's bound, which follows the width: at DeiT's 0.02, which suits widths
# of hundreds, members this narrow stay at chance for most of their stage.
model = dict(
    type="ImageClassifier",
    backbone=dict(
        type="VisionTransformer",
        arch=dict(embed_dims=96, num_layers=4, num_heads=4, feedforward_channels=384),
        img_size=32,
        patch_size=8,
        drop_path_rate=0.1,
    ),
    head=dict(
        type="VisionTransformerClsHead",
        num_classes=10,
        in_channels=96,
        loss=dict(type="LabelSmoothLoss", label_smooth_val=0.1, mode="original"),
    ),
    init_cfg=[
        dict(type="Xavier", layer="Linear", distribution="uniform"),
        dict(type="Constant", layer="LayerNorm", val=1.0, bias=0.0),
    ],
)
