# DeiT-B (86.6 M parameters, 35.1 GFLOPs = 17.6 G multiply-adds at 224 px) as DeiT trains it:
# drop-path 0.1, mixup 0.8, CutMix 1.0, label smoothing 0.1, all at every width. The other sizes of
# the family are this file's with another arch.
# Initialisation is MMPretrain's: truncated normal 0.02 for attention, classifier and position table,
# Xavier uniform for the FFN (DeiT's own code uses truncated normal 0.02 there too).
model = dict(
    type="ImageClassifier",
    backbone=dict(
        type="VisionTransformer",
        arch="deit-base",
        img_size=224,
        patch_size=16,
        drop_path_rate=0.1,
    ),
    neck=None,
    head=dict(
        type="VisionTransformerClsHead",
        num_classes=1000,
        in_channels=768,
        loss=dict(type="LabelSmoothLoss", label_smooth_val=0.1, mode="original"),
    ),
    init_cfg=[
        dict(type="TruncNormal", layer="Linear", std=0.02),
        dict(type="Constant", layer="LayerNorm", val=1.0, bias=0.0),
    ],
    train_cfg=dict(augments=[dict(type="Mixup", alpha=0.8), dict(type="CutMix", alpha=1.0)]),
)
