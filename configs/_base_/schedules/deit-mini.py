# AdamW with DeiT's weight decay groups for runs of a few epochs; boundaries in epochs of a recipe of
# max_epochs.
optim_wrapper = dict(
    optimizer=dict(type="AdamW", lr=1e-3, weight_decay=0.05, betas=(0.9, 0.999), eps=1e-8),
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
        flat_decay_mult=0.0,
        custom_keys={".cls_token": dict(decay_mult=0.0), ".pos_embed": dict(decay_mult=0.0)},
    ),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-3, begin=0, end=0.2),
    dict(type="CosineAnnealingLR", eta_min=1e-5, begin=0.2, end=2.5),
]
train_cfg = dict(by_epoch=True, max_epochs=2.5, val_interval=1)
