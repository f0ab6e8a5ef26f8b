# The mini DeiT of deit-mini.py (same arch, image and patch size; a test compares them) with windows,
# otherwise as mask-rcnn_deit-micro.py, for one class. Mean and std are those of the pretraining on
# CIFAR-10.
_base_ = "./mask-rcnn_deit-micro.py"
model = dict(
    data_preprocessor=dict(
        mean=[125.307, 122.961, 113.8575], std=[51.5865, 50.847, 51.255], pad_size_divisor=192
    ),
    backbone=dict(
        arch=dict(embed_dims=128, feedforward_channels=512),
        window_size=8,
        global_blocks=2,
        with_cls_token=False,
        drop_path_rate=0.0,
    ),
    neck=dict(in_channels=128),
    roi_head=dict(
        bbox_head=dict(fc_out_channels=256, num_classes=1),
        mask_head=dict(num_classes=1),
    ),
    train_cfg=dict(rpn=dict(sampler=dict(num=128)), rcnn=dict(sampler=dict(num=64))),
    test_cfg=dict(rcnn=dict(max_per_img=100)),
)
