"""Mask R-CNN on COCO from a ResNet-50 with random weights.

The lower bound of mask-rcnn_r50-rbdc-pre_fpn_1x_coco.py and
mask-rcnn_r50-scratch-pre_fpn_1x_coco.py, which differ in the backbone's weights only.

Recipe: MMDetection's 1x (12 epochs, 16 images per step, 1333 x 800) with AdamW, lr 2e-4, as its
configs use it for backbones of this pretraining recipe; the whole backbone trains, and BatchNorm's
statistics are shared by the GPUs.

Expected: not run yet.
Hardware: planned for 8 GPUs with 2 images each; time not measured yet.

    tools/dist_train.sh configs/detection/mask-rcnn_r50-random_fpn_1x_coco.py 8
"""

_base_ = [
    "../_base_/models/mask-rcnn_r50.py",
    "../_base_/datasets/coco_instance.py",
    "../_base_/schedules/adamw_1x_coco.py",
    "../_base_/detector_runtime.py",
]
