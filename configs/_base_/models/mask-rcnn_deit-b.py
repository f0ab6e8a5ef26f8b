# Mask R-CNN on a DeiT-B of patch 16 with the simple feature pyramid of ViTDet (arXiv 2203.16527),
# every token attending to every other. Heads are MMDetection's R50-FPN ones, so that both families
# are judged by the same detector. Mean and std, RGB, are those of the pretraining.
_base_ = "mmdet::_base_/models/mask-rcnn_r50_fpn.py"
model = dict(
    backbone=dict(
        _delete_=True,
        type="mmrbdc.DeiT",
        arch="deit-base",
        img_size=224,
        patch_size=16,
        drop_path_rate=0.1,
        # The start from random weights: the pretraining's.
        init_cfg=[
            dict(type="TruncNormal", layer="Linear", std=0.02),
            dict(type="Constant", layer="LayerNorm", val=1.0, bias=0.0),
        ],
    ),
    neck=dict(
        _delete_=True,
        type="mmrbdc.SimpleFeaturePyramid",
        in_channels=768,
        in_stride=16,
        out_channels=256,
        strides=(4, 8, 16, 32),
        num_outs=5,
    ),
)
