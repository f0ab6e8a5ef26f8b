"""RetinaNet on a data set of your own from a ResNet-50 trained from scratch, boxes only.

Differs from retinanet_random-r50_custom.py in the backbone's weights only; the rest is there.

Backbone: work_dirs/resnet50_scratch_in1k/resnet50_scratch_in1k.pth, made by
    tools/dist_train.sh configs/baselines/resnet50_scratch_in1k.py 8
or another file: --cfg-options model.backbone.init_cfg.checkpoint=FILE
Expected: depends on the data.
Hardware: planned for one GPU; time not measured yet.

    python tools/train.py configs/custom/retinanet_scratch-r50_custom.py
"""

_base_ = "./retinanet_random-r50_custom.py"
model = dict(
    backbone=dict(
        init_cfg=dict(
            type="mmrbdc.Transferred",
            checkpoint="work_dirs/resnet50_scratch_in1k/resnet50_scratch_in1k.pth",
            made_by="configs/baselines/resnet50_scratch_in1k.py",
        )
    )
)
