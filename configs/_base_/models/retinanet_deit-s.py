# RetinaNet, MMDetection's own, on a DeiT-S with windows and the simple feature pyramid of strides 8
# to 32, with 64 and 128 by pooling: boxes only.
_base_ = ["mmdet::_base_/models/retinanet_r50_fpn.py", "./deit-b_windows.py"]
model = dict(
    backbone=dict(_delete_=True, **dict(_base_.backbone, arch="deit-small")),
    neck=dict(_delete_=True, **dict(_base_.neck, in_channels=384, strides=(8, 16, 32))),
)
