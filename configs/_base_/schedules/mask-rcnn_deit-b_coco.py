# AdamW as in ViTDet (arXiv 2203.16527, appendix), without its layer-wise decay of the learning rate:
# 36 epochs of 16 images a step, lr 1e-4 dropped after epochs 32 and 35.
train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=36, val_interval=3)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=1e-4, weight_decay=0.1),
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
        custom_keys={".cls_token": dict(decay_mult=0.0), ".pos_embed": dict(decay_mult=0.0)},
    ),
    clip_grad=dict(max_norm=1.0),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type="MultiStepLR", begin=0, end=36, by_epoch=True, milestones=[32, 35], gamma=0.1),
]
auto_scale_lr = dict(enable=False, base_batch_size=16)
