# MMDetection's 1x (12 epochs of 16 images per step) with the optimizer that its configs use for
# ResNets of the "ResNet strikes back" recipe: resnet_strikes_back/mask-rcnn_r50-rsb-pre_fpn_1x_coco.py.
_base_ = "mmdet::_base_/schedules/schedule_1x.py"
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type="AdamW", lr=2e-4, weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0.0, bypass_duplicate=True),
)
