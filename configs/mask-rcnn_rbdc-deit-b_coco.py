"""Mask R-CNN on COCO from a DeiT-B grown on ImageNet-1k by two steps of RBDC.

The short name of configs/detection/mask-rcnn_deit-b-rbdc-pre_sfp_8xb2-lsj-36e_coco-640px.py, where
the cheap recipe at 640 px is said. ViTDet's own size and length:
configs/detection/mask-rcnn_deit-b-rbdc-pre_sfp_8xb8-lsj-100e_coco.py.

Expected: not run yet.
Hardware: planned for 8 GPUs with 2 images each; time not measured yet.

    tools/dist_train.sh configs/mask-rcnn_rbdc-deit-b_coco.py 8 --amp
"""

_base_ = "./detection/mask-rcnn_deit-b-rbdc-pre_sfp_8xb2-lsj-36e_coco-640px.py"
