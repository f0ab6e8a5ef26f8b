# Cascade Mask R-CNN, MMDetection's own, on a DeiT-B with windows and the simple feature pyramid.
_base_ = ["mmdet::_base_/models/cascade-mask-rcnn_r50_fpn.py", "./deit-b_windows.py"]
model = dict(
    backbone=dict(_delete_=True, **_base_.backbone),
    neck=dict(_delete_=True, **_base_.neck),
)
