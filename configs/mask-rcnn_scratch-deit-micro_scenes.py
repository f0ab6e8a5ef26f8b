"""Mask R-CNN on scenes of handwritten digits from a micro DeiT trained from scratch.

Differs from mask-rcnn_random-deit-micro_scenes.py in the
backbone's weights only; the rest is there.

Backbone: work_dirs/deit-micro_scratch_digits/deit-micro_scratch_digits.pth, made by
    python tools/train.py configs/baselines/deit-micro_scratch_digits.py
Expected: box AP 39.2 ± 0.9, mask AP 36.7 ± 1.1 on the test scenes
(seeds 0 to 4, docs/results/README.md).

    python tools/train.py configs/mask-rcnn_scratch-deit-micro_scenes.py
"""

_base_ = "./mask-rcnn_random-deit-micro_scenes.py"
model = dict(
    backbone=dict(
        init_cfg=dict(
            _delete_=True,
            type="mmrbdc.Transferred",
            checkpoint="work_dirs/deit-micro_scratch_digits/deit-micro_scratch_digits.pth",
            made_by="configs/baselines/deit-micro_scratch_digits.py",
        )
    )
)
