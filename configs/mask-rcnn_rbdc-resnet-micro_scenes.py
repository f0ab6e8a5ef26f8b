"""Mask R-CNN on scenes of handwritten digits from a micro ResNet grown by RBDC.

Differs from mask-rcnn_random-resnet-micro_scenes.py in the
backbone's weights only; the rest is there.

Backbone: work_dirs/resnet-micro_2step_digits/resnet-micro_2step_digits.pth, made by
    python tools/train.py configs/rbdc/resnet-micro_2step_digits.py
Expected: not run yet.

    python tools/train.py configs/mask-rcnn_rbdc-resnet-micro_scenes.py
"""

_base_ = "./mask-rcnn_random-resnet-micro_scenes.py"
model = dict(
    backbone=dict(
        init_cfg=dict(
            type="mmrbdc.Transferred",
            checkpoint="work_dirs/resnet-micro_2step_digits/resnet-micro_2step_digits.pth",
            made_by="configs/rbdc/resnet-micro_2step_digits.py",
        )
    )
)
