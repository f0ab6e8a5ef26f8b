"""Mask R-CNN on COCO from a ResNet-50 grown on ImageNet-1k by two steps of RBDC.

Recipe: MMDetection's 1x (12 epochs, 16 images a step, 1333 x 800) with the optimizer that its
configs use for backbones of this pretraining recipe (AdamW, lr 2e-4, weight decay 0.05: mmdet's
resnet_strikes_back/mask-rcnn_r50-rsb-pre_fpn_1x_coco.py), the whole backbone trained and
BatchNorm's statistics shared by the GPUs.

Backbone: work_dirs/resnet50_2step_in1k/resnet50_2step_in1k.pth, made by
    tools/dist_train.sh configs/rbdc/resnet50_2step_in1k.py 8
Expected: box and mask AP above mask-rcnn_scratch-r50_coco.py's, which differs in the backbone's
file only. Not run yet.
Hardware: 8 GPUs with 2 images each; time not measured yet.

    tools/dist_train.sh configs/mask-rcnn_rbdc-r50_coco.py 8
"""

_base_ = [
    "./_base_/models/mask-rcnn_r50.py",
    "./_base_/datasets/coco_instance.py",
    "mmdet::_base_/schedules/schedule_1x.py",
    "./_base_/detector_runtime.py",
]
model = dict(
    backbone=dict(
        init_cfg=dict(
            type="mmrbdc.Transferred",
            checkpoint="work_dirs/resnet50_2step_in1k/resnet50_2step_in1k.pth",
            made_by="configs/rbdc/resnet50_2step_in1k.py",
        )
    )
)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type="AdamW", lr=2e-4, weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0.0, bypass_duplicate=True),
)
