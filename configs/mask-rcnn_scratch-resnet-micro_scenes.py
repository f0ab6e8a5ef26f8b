"""Mask R-CNN on scenes of handwritten digits from a micro ResNet trained from scratch.

Differs from mask-rcnn_random-resnet-micro_scenes.py in the
backbone's weights only; the rest is there.

Backbone: work_dirs/resnet-micro_scratch_digits/resnet-micro_scratch_digits.pth, made by
    python tools/train.py configs/baselines/resnet-micro_scratch_digits.py
Expected: not run yet.

    python tools/train.py configs/mask-rcnn_scratch-resnet-micro_scenes.py
"""

_base_ = "./mask-rcnn_random-resnet-micro_scenes.py"
model = dict(
    backbone=dict(
        init_cfg=dict(
            type="mmrbdc.Transferred",
            checkpoint="work_dirs/resnet-micro_scratch_digits/resnet-micro_scratch_digits.pth",
            made_by="configs/baselines/resnet-micro_scratch_digits.py",
        )
    )
)
