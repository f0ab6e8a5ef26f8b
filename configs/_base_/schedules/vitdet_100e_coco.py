# ViTDet's (arXiv 2203.16527; detectron2, projects/ViTDet): AdamW, 100 epochs of 64 images per step,
# lr 1e-4 dropped after 89 % and 96 % of them, 250 iterations of warm-up, and a lr that falls layer by
# layer towards the image, by 0.7 a layer for a ViT-B. Gradients are clipped, which ViTDet does not do.
train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=100, val_interval=5)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=1e-4, betas=(0.9, 0.999), weight_decay=0.1),
    constructor="mmrbdc.LayerDecayOptimWrapperConstructor",
    paramwise_cfg=dict(
        decay_rate=0.7,
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
        token_decay_mult=0.0,
        bypass_duplicate=True,
    ),
    clip_grad=dict(max_norm=1.0),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=250),
    dict(type="MultiStepLR", begin=0, end=100, by_epoch=True, milestones=[89, 96], gamma=0.1),
]
auto_scale_lr = dict(enable=False, base_batch_size=64)
