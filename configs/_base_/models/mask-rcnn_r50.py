# Mask R-CNN with FPN on a ResNet-50 that trains whole: nothing frozen, BatchNorm's statistics kept
# up to date and shared by all GPUs (two images per GPU are too few for them), in the neck too.
# MMDetection's own configs freeze the stem, the first stage and all statistics (policy="frozen"),
# which suits one public checkpoint; grown, scratch and random backbones are to be compared under
# one policy. Mean and std, RGB, are those of the pretraining.
_base_ = "mmdet::_base_/models/mask-rcnn_r50_fpn.py"
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
