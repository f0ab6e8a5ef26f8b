# A DeiT for 32 px photographs on a CPU: width 128, 4 heads of 32, 4 layers, 16 patches of 8 px. It
# couples twice, one head a quarter-width member. No drop-path, since runs last a few epochs.
# Linear layers start with Xavier's bound, which follows the width, as in deit-micro.py.
model = dict(
    type="ImageClassifier",
    backbone=dict(
        type="VisionTransformer",
        arch=dict(embed_dims=128, num_layers=4, num_heads=4, feedforward_channels=512),
        img_size=32,
        patch_size=8,
    ),
    head=dict(
        type="VisionTransformerClsHead",
        num_classes=10,
        in_channels=128,
        loss=dict(type="LabelSmoothLoss", label_smooth_val=0.1, mode="original"),
    ),
    init_cfg=[
        dict(type="Xavier", layer="Linear", distribution="uniform"),
        dict(type="Constant", layer="LayerNorm", val=1.0, bias=0.0),
    ],
)
