# The mini DeiT of deit-mini.py (same arch, image and patch size; a test compares them) with windows
# and a simple feature pyramid, under the small heads of mask-rcnn_micro.py for one class.
# Mean and std are those of the pretraining on CIFAR-10.
_base_ = "./mask-rcnn_micro.py"
num_classes = 1
model = dict(
    data_preprocessor=dict(
        mean=[125.307, 122.961, 113.8575], std=[51.5865, 50.847, 51.255], pad_size_divisor=192
    ),
    backbone=dict(
        _delete_=True,
        type="mmrbdc.DeiT",
        arch=dict(embed_dims=128, num_layers=4, num_heads=4, feedforward_channels=512),
        img_size=32,
        patch_size=8,
        window_size=8,
        global_blocks=2,
        with_cls_token=False,
        # The start from random weights: the pretraining's.
        init_cfg=[
            dict(type="Xavier", layer="Linear", distribution="uniform"),
            dict(type="Constant", layer="LayerNorm", val=1.0, bias=0.0),
        ],
    ),
    neck=dict(
        _delete_=True,
        type="mmrbdc.SimpleFeaturePyramid",
        in_channels=128,
        in_stride=8,
        out_channels={{_base_.channels}},
        strides=(4, 8, 16, 32),
        num_outs=4,
    ),
    roi_head=dict(
        bbox_head=dict(fc_out_channels=256, num_classes=num_classes),
        mask_head=dict(num_classes=num_classes),
    ),
    train_cfg=dict(rpn=dict(sampler=dict(num=128)), rcnn=dict(sampler=dict(num=64))),
    test_cfg=dict(rcnn=dict(max_per_img=100)),
)
