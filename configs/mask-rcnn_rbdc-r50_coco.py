"""Mask R-CNN on COCO from a ResNet-50 grown on ImageNet-1k by two steps of RBDC.

The short name of configs/detection/mask-rcnn_r50-rbdc-pre_fpn_1x_coco.py, where the recipe is
said.

Expected: not run yet.
Hardware: planned for 8 GPUs with 2 images each; time not measured yet.

    tools/dist_train.sh configs/mask-rcnn_rbdc-r50_coco.py 8
"""

_base_ = "./detection/mask-rcnn_r50-rbdc-pre_fpn_1x_coco.py"
