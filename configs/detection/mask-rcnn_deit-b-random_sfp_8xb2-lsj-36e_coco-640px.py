"""Mask R-CNN on COCO from a DeiT-B with random weights.

The lower bound of mask-rcnn_deit-b-rbdc-pre_sfp_8xb2-lsj-36e_coco-640px.py and
mask-rcnn_deit-b-scratch-pre_sfp_8xb2-lsj-36e_coco-640px.py, which differ in the backbone's weights
only. Layer decay suits pretrained weights: it holds the early layers near the random ones.

Recipe: the cheap one, with a seventh of the pixels of
mask-rcnn_deit-b-random_sfp_8xb8-lsj-100e_coco.py: 640 px and 36 epochs of 16 images per step. The
rest is as there: simple feature pyramid, windows of 14 x 14 tokens with four global blocks,
large-scale jitter, AdamW with layer decay 0.7.

Expected: not run yet.
Hardware: planned for 8 GPUs with 2 images each; time not measured yet. `--amp` is bfloat16.

    tools/dist_train.sh configs/detection/mask-rcnn_deit-b-random_sfp_8xb2-lsj-36e_coco-640px.py 8 --amp
"""

_base_ = [
    "../_base_/models/mask-rcnn_deit-b.py",
    "../_base_/datasets/coco_lsj_640.py",
    "../_base_/schedules/vitdet_36e_coco.py",
    "../_base_/detector_runtime.py",
]
model = dict(data_preprocessor=dict(pad_size_divisor=640))
