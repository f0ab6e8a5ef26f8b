"""Mask R-CNN on COCO from a DeiT-S with random weights.

The lower bound of mask-rcnn_deit-s-rbdc-pre_sfp_8xb8-lsj-100e_coco.py and
mask-rcnn_deit-s-scratch-pre_sfp_8xb8-lsj-100e_coco.py, which differ in the backbone's weights
only. Layer decay suits pretrained weights: it holds the early layers near the random ones.

Recipe: that of mask-rcnn_deit-b-random_sfp_8xb8-lsj-100e_coco.py with layer decay 0.65: ViTDet has
0.7, 0.8 and 0.9 for B, L and H, and gives none for S.

Expected: not run yet.
Hardware: planned for 8 GPUs with 8 images each; time not measured yet. `--amp` is bfloat16.

    tools/dist_train.sh configs/detection/mask-rcnn_deit-s-random_sfp_8xb8-lsj-100e_coco.py 8 --amp
"""

_base_ = [
    "../_base_/models/mask-rcnn_deit-s.py",
    "../_base_/datasets/coco_lsj.py",
    "../_base_/schedules/vitdet_100e_coco.py",
    "../_base_/detector_runtime.py",
]
model = dict(data_preprocessor=dict(pad_size_divisor=1024))
optim_wrapper = dict(paramwise_cfg=dict(decay_rate=0.65))
