# DeiT's official schedule (facebookresearch/deit, main.py defaults) for a batch of 1,024: AdamW at
# 1e-3, warm-up of 5 epochs from 1e-6, cosine to 1e-5, no clipping, no weight decay on vectors and
# tokens. The official code steps its cosine once an epoch; here every iteration counts. Fused: the same
# steps in a quarter of the time (docs/results/performance.md).
# Boundaries are epochs of a recipe of max_epochs; a stage fits them to its own length.
optim_wrapper = dict(
    optimizer=dict(
        type="AdamW", lr=1e-3, weight_decay=0.05, betas=(0.9, 0.999), eps=1e-8, fused=True
    ),
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
        flat_decay_mult=0.0,
        custom_keys={".cls_token": dict(decay_mult=0.0), ".pos_embed": dict(decay_mult=0.0)},
    ),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-3, begin=0, end=5),
    dict(type="CosineAnnealingLR", eta_min=1e-5, begin=5, end=300),
]
train_cfg = dict(by_epoch=True, max_epochs=300, val_interval=10)
auto_scale_lr = dict(base_batch_size=1024, enable=False)
