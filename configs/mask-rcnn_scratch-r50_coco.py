"""Mask R-CNN on COCO from a ResNet-50 trained from scratch on ImageNet-1k: the baseline.

Differs from mask-rcnn_rbdc-r50_coco.py in the backbone's file only;
recipe and hardware are there.

Backbone: work_dirs/resnet50_scratch_in1k/resnet50_scratch_in1k.pth, made by
    tools/dist_train.sh configs/baselines/resnet50_scratch_in1k.py 8
Expected: not run yet.

    tools/dist_train.sh configs/mask-rcnn_scratch-r50_coco.py 8
"""

_base_ = "./mask-rcnn_rbdc-r50_coco.py"
model = dict(
    backbone=dict(
        init_cfg=dict(
            checkpoint="work_dirs/resnet50_scratch_in1k/resnet50_scratch_in1k.pth",
            made_by="configs/baselines/resnet50_scratch_in1k.py",
        )
    )
)
