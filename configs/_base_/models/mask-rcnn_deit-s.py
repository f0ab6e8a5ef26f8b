# DeiT-S, otherwise as mask-rcnn_deit-b.py.
_base_ = "./mask-rcnn_deit-b.py"
model = dict(backbone=dict(arch="deit-small"), neck=dict(in_channels=384))
