"""Mask R-CNN on COCO from a ResNet-50 with random weights.

The lower bound of mask-rcnn_r50-rbdc-pre_fpn_ms-3x_coco.py and
mask-rcnn_r50-scratch-pre_fpn_ms-3x_coco.py, which differ in the backbone's weights only.

Recipe: 36 epochs with the short side drawn from 640 to 800 px, otherwise that of
mask-rcnn_r50-random_fpn_1x_coco.py.

Expected: not run yet.
Hardware: planned for 8 GPUs with 2 images each; time not measured yet.

    tools/dist_train.sh configs/detection/mask-rcnn_r50-random_fpn_ms-3x_coco.py 8
"""

_base_ = [
    "../_base_/models/mask-rcnn_r50.py",
    "../_base_/datasets/coco_instance_ms.py",
    "../_base_/schedules/adamw_3x_coco.py",
    "../_base_/detector_runtime.py",
]
