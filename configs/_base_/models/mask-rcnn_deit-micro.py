# The micro DeiT of deit-micro.py (same arch, image and patch size; a test compares them) with a
# simple feature pyramid: its map of stride 8 becomes levels of stride 4 to 32.
_base_ = "./mask-rcnn_micro.py"
model = dict(
    backbone=dict(
        _delete_=True,
        type="mmrbdc.DeiT",
        arch=dict(embed_dims=96, num_layers=4, num_heads=4, feedforward_channels=384),
        img_size=32,
        patch_size=8,
        drop_path_rate=0.1,
        # The start from random weights: the pretraining's.
        init_cfg=[
            dict(type="Xavier", layer="Linear", distribution="uniform"),
            dict(type="Constant", layer="LayerNorm", val=1.0, bias=0.0),
        ],
    ),
    neck=dict(
        _delete_=True,
        type="mmrbdc.SimpleFeaturePyramid",
        in_channels=96,
        in_stride=8,
        out_channels={{_base_.channels}},
        strides=(4, 8, 16, 32),
        num_outs=4,
    ),
)
