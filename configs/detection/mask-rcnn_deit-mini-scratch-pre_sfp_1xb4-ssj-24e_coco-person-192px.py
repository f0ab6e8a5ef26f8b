"""Mask R-CNN on the persons of COCO from a mini DeiT trained from scratch on CIFAR-10.

Differs from mask-rcnn_deit-mini-random_sfp_1xb4-ssj-24e_coco-person-192px.py in the backbone's weights
only; the recipe is there.

Backbone: work_dirs/deit-mini_scratch_cifar10/deit-mini_scratch_cifar10.pth, made by
    python tools/train.py configs/baselines/deit-mini_scratch_cifar10.py
Expected: not run yet.
Hardware: one CPU core, about 17 s an epoch of 72 images.

    python tools/train.py configs/detection/mask-rcnn_deit-mini-scratch-pre_sfp_1xb4-ssj-24e_coco-person-192px.py
"""

_base_ = "./mask-rcnn_deit-mini-random_sfp_1xb4-ssj-24e_coco-person-192px.py"
model = dict(
    backbone=dict(
        init_cfg=dict(
            _delete_=True,
            type="mmrbdc.Transferred",
            checkpoint="work_dirs/deit-mini_scratch_cifar10/deit-mini_scratch_cifar10.pth",
            made_by="configs/baselines/deit-mini_scratch_cifar10.py",
        )
    )
)
