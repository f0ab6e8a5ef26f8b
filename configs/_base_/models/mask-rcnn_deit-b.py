# Mask R-CNN on a DeiT-B with windows and the simple feature pyramid, with ViTDet's heads (arXiv
# 2203.16527; detectron2, projects/ViTDet): two convolutions for the proposals, four and a linear
# layer for the boxes, LayerNorm in the heads. Mean and std, RGB, are those of the pretraining.
_base_ = ["mmdet::_base_/models/mask-rcnn_r50_fpn.py", "./deit-b_windows.py"]
norm_cfg = dict(type="mmpretrain.LN2d", eps=1e-6)
model = dict(
    backbone=dict(_delete_=True, **_base_.backbone),
    neck=dict(_delete_=True, **_base_.neck),
    rpn_head=dict(num_convs=2),
    roi_head=dict(
        bbox_head=dict(type="Shared4Conv1FCBBoxHead", conv_out_channels=256, norm_cfg=norm_cfg),
        mask_head=dict(norm_cfg=norm_cfg),
    ),
)
