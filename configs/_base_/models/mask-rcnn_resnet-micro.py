# The micro ResNet of resnet-micro.py (a test compares them) with an FPN. It trains whole, BatchNorm's
# statistics included, whatever it starts from.
_base_ = "./mask-rcnn_micro.py"
model = dict(
    backbone=dict(
        _delete_=True,
        type="mmrbdc.ResNet",
        depth=18,
        base_channels=16,
        stem_channels=16,
        out_indices=(0, 1, 2, 3),
    ),
    neck=dict(
        in_channels=[16, 32, 64, 128],
        out_channels={{_base_.channels}},
        num_outs=4,
        norm_cfg=dict(type="BN"),
    ),
)
