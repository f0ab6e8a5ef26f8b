# RetinaNet with FPN, MMDetection's own, on the ResNet-50 of mask-rcnn_r50.py: boxes only.
_base_ = "mmdet::_base_/models/retinanet_r50_fpn.py"
model = dict(
    backbone=dict(
        _delete_=True,
        type="mmrbdc.ResNet",
        depth=50,
        out_indices=(0, 1, 2, 3),
        policy="free",
    ),
    neck=dict(norm_cfg=dict(type="SyncBN")),
)
