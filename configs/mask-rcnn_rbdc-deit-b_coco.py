"""Mask R-CNN on COCO from a DeiT-B grown on ImageNet-1k by two steps of RBDC.

Recipe: simple feature pyramid, AdamW, 36 epochs of 16 images a step, the long side at 640 px.
ViTDet trains at 1024 px with window attention, large-scale jitter, 100 epochs and layer-wise lr
decay. Full attention at 1024 px is heavy (4,096 tokens attend to each other in every layer), hence
640 px here, and numbers below ViTDet's.

Backbone: work_dirs/deit-b_2step_in1k/deit-b_2step_in1k.pth, made by
    tools/dist_train.sh configs/rbdc/deit-b_2step_in1k.py 8
Expected: box and mask AP above mask-rcnn_scratch-deit-b_coco.py's, which differs in the backbone's
file only. Not run yet.
Hardware: 8 GPUs with 2 images each; time not measured yet. `--amp` trains in bfloat16.

    tools/dist_train.sh configs/mask-rcnn_rbdc-deit-b_coco.py 8
"""

_base_ = [
    "./_base_/models/mask-rcnn_deit-b.py",
    "./_base_/datasets/coco_instance_640.py",
    "./_base_/schedules/mask-rcnn_deit-b_coco.py",
    "./_base_/detector_runtime.py",
]
model = dict(
    backbone=dict(
        init_cfg=dict(
            _delete_=True,
            type="mmrbdc.Transferred",
            checkpoint="work_dirs/deit-b_2step_in1k/deit-b_2step_in1k.pth",
            made_by="configs/rbdc/deit-b_2step_in1k.py",
        )
    )
)
