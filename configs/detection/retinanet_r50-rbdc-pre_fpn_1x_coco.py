"""RetinaNet on COCO from a ResNet-50 grown on ImageNet-1k by two steps of RBDC.

Differs from retinanet_r50-random_fpn_1x_coco.py in the backbone's weights only; the recipe is
there.

Backbone: work_dirs/resnet50_2step_in1k/resnet50_2step_in1k.pth, made by
    tools/dist_train.sh configs/rbdc/resnet50_2step_in1k.py 8
Expected: box AP above those of retinanet_r50-scratch-pre_fpn_1x_coco.py. Not run yet.
Hardware: planned for 8 GPUs with 2 images each; time not measured yet.

    tools/dist_train.sh configs/detection/retinanet_r50-rbdc-pre_fpn_1x_coco.py 8
"""

_base_ = "./retinanet_r50-random_fpn_1x_coco.py"
model = dict(
    backbone=dict(
        init_cfg=dict(
            type="mmrbdc.Transferred",
            checkpoint="work_dirs/resnet50_2step_in1k/resnet50_2step_in1k.pth",
            made_by="configs/rbdc/resnet50_2step_in1k.py",
        )
    )
)
