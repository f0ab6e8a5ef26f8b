"""Mask R-CNN on scenes of handwritten digits from a micro DeiT grown by RBDC.

Differs from mask-rcnn_random-deit-micro_scenes.py in the
backbone's weights only; the rest is there.

Backbone: work_dirs/deit-micro_2step_digits/deit-micro_2step_digits.pth, made by
    python tools/train.py configs/rbdc/deit-micro_2step_digits.py
Expected: box AP 41.1 ± 1.3, mask AP 39.1 ± 1.1 on the test scenes
(seeds 0 to 4, docs/results/README.md).

    python tools/train.py configs/mask-rcnn_rbdc-deit-micro_scenes.py
"""

_base_ = "./mask-rcnn_random-deit-micro_scenes.py"
model = dict(
    backbone=dict(
        init_cfg=dict(
            _delete_=True,
            type="mmrbdc.Transferred",
            checkpoint="work_dirs/deit-micro_2step_digits/deit-micro_2step_digits.pth",
            made_by="configs/rbdc/deit-micro_2step_digits.py",
        )
    )
)
