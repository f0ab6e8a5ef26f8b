"""Mask R-CNN on a data set of your own from a DeiT-S with random weights.

The lower bound of mask-rcnn_rbdc-deit-s_custom.py and mask-rcnn_scratch-deit-s_custom.py, which
differ in the backbone's weights only. The data and the size of images: dataset.py; length and
learning rate: schedule.py. 8 images per step.

Expected: depends on the data.
Hardware: planned for one GPU; time not measured yet.

    python tools/train.py configs/custom/mask-rcnn_random-deit-s_custom.py
"""

_base_ = [
    "../_base_/models/mask-rcnn_deit-s.py",
    "./dataset.py",
    "./schedule.py",
    "../_base_/detector_runtime.py",
]
model = dict(
    data_preprocessor=dict(pad_size_divisor=_base_.image_size),
    roi_head=dict(
        bbox_head=dict(num_classes=_base_.num_classes),
        mask_head=dict(num_classes=_base_.num_classes),
    ),
)
optim_wrapper = dict(
    constructor="mmrbdc.LayerDecayOptimWrapperConstructor",
    paramwise_cfg=dict(decay_rate=0.65, token_decay_mult=0.0),
)
