# Mask R-CNN with FPN on a ResNet-50 that trains whole: nothing frozen, BatchNorm's statistics kept
# up to date and shared by all GPUs (two images a GPU are too few for them). MMDetection's own
# configs freeze the stem, the first stage and all statistics, which suits one public checkpoint;
# grown, scratch and random backbones are to be compared under one policy. Mean and std, RGB, are
# those of the pretraining.
_base_ = "mmdet::_base_/models/mask-rcnn_r50_fpn.py"
norm_cfg = dict(type="SyncBN", requires_grad=True)
model = dict(
    backbone=dict(
        _delete_=True,
        type="mmrbdc.ResNet",
        depth=50,
        out_indices=(0, 1, 2, 3),
        norm_cfg=norm_cfg,
    ),
    neck=dict(norm_cfg=norm_cfg),
)
