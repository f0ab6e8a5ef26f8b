"""Mask R-CNN on a data set of your own from a ResNet-50 grown on ImageNet-1k by RBDC.

Differs from mask-rcnn_random-r50_custom.py in the backbone's weights only; the rest is there.

Backbone: work_dirs/resnet50_2step_in1k/resnet50_2step_in1k.pth, made by
    tools/dist_train.sh configs/rbdc/resnet50_2step_in1k.py 8
or another file: --cfg-options model.backbone.init_cfg.checkpoint=FILE
Expected: depends on the data.
Hardware: planned for one GPU; time not measured yet.

    python tools/train.py configs/custom/mask-rcnn_rbdc-r50_custom.py
"""

_base_ = "./mask-rcnn_random-r50_custom.py"
model = dict(
    backbone=dict(
        init_cfg=dict(
            type="mmrbdc.Transferred",
            checkpoint="work_dirs/resnet50_2step_in1k/resnet50_2step_in1k.pth",
            made_by="configs/rbdc/resnet50_2step_in1k.py",
        )
    )
)
