"""Mask R-CNN on the persons of COCO from a mini DeiT grown on CIFAR-10 by two steps of RBDC.

Differs from mask-rcnn_deit-mini-random_sfp_1xb4-ssj-24e_coco-person-192px.py in the backbone's weights
only; the recipe is there.

Backbone: work_dirs/deit-mini_2step_cifar10/deit-mini_2step_cifar10.pth, made by
    python tools/train.py configs/rbdc/deit-mini_2step_cifar10.py
Expected: 1.5 ± 0.3 box and 0.5 ± 0.0 mask AP (times 100) on 72 training images, seeds 0 to 2; see
docs/results/README.md.
Hardware: one CPU core, about 17 s an epoch of 72 images.

    python tools/train.py configs/detection/mask-rcnn_deit-mini-rbdc-pre_sfp_1xb4-ssj-24e_coco-person-192px.py
"""

_base_ = "./mask-rcnn_deit-mini-random_sfp_1xb4-ssj-24e_coco-person-192px.py"
model = dict(
    backbone=dict(
        init_cfg=dict(
            _delete_=True,
            type="mmrbdc.Transferred",
            checkpoint="work_dirs/deit-mini_2step_cifar10/deit-mini_2step_cifar10.pth",
            made_by="configs/rbdc/deit-mini_2step_cifar10.py",
        )
    )
)
