"""Cascade Mask R-CNN on COCO from a DeiT-B trained from scratch on ImageNet-1k: the baseline.

Differs from cascade-mask-rcnn_deit-b-random_sfp_8xb2-lsj-36e_coco-640px.py in the backbone's
weights only; the recipe is there.

Backbone: work_dirs/deit-b_scratch_in1k/deit-b_scratch_in1k.pth, made by
    tools/dist_train.sh configs/baselines/deit-b_scratch_in1k.py 8
Expected: not run yet.
Hardware: planned for 8 GPUs with 2 images each; time not measured yet.

    tools/dist_train.sh configs/detection/cascade-mask-rcnn_deit-b-scratch-pre_sfp_8xb2-lsj-36e_coco-640px.py 8 --amp
"""

_base_ = "./cascade-mask-rcnn_deit-b-random_sfp_8xb2-lsj-36e_coco-640px.py"
model = dict(
    backbone=dict(
        init_cfg=dict(
            _delete_=True,
            type="mmrbdc.Transferred",
            checkpoint="work_dirs/deit-b_scratch_in1k/deit-b_scratch_in1k.pth",
            made_by="configs/baselines/deit-b_scratch_in1k.py",
        )
    )
)
