"""Mask R-CNN on COCO from a ResNet-50 trained from scratch on ImageNet-1k: the baseline.

The short name of configs/detection/mask-rcnn_r50-scratch-pre_fpn_1x_coco.py, where the recipe is
said.

Expected: not run yet.
Hardware: planned for 8 GPUs with 2 images each; time not measured yet.

    tools/dist_train.sh configs/mask-rcnn_scratch-r50_coco.py 8
"""

_base_ = "./detection/mask-rcnn_r50-scratch-pre_fpn_1x_coco.py"
