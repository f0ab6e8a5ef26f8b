"""Mask R-CNN on a data set of your own from a DeiT-S trained from scratch.

Differs from mask-rcnn_random-deit-s_custom.py in the backbone's weights only; the rest is there.

Backbone: work_dirs/deit-s_scratch_in1k/deit-s_scratch_in1k.pth, made by
    tools/dist_train.sh configs/baselines/deit-s_scratch_in1k.py 8
or another file: --cfg-options model.backbone.init_cfg.checkpoint=FILE
Expected: depends on the data.
Hardware: planned for one GPU; time not measured yet.

    python tools/train.py configs/custom/mask-rcnn_scratch-deit-s_custom.py
"""

_base_ = "./mask-rcnn_random-deit-s_custom.py"
model = dict(
    backbone=dict(
        init_cfg=dict(
            _delete_=True,
            type="mmrbdc.Transferred",
            checkpoint="work_dirs/deit-s_scratch_in1k/deit-s_scratch_in1k.pth",
            made_by="configs/baselines/deit-s_scratch_in1k.py",
        )
    )
)
