# Schedule of recipe A2 of "ResNet strikes back" (arXiv 2110.00476) for a batch of 2,048: LAMB at
# 5e-3, weight decay 0.02 on matrices only, warm-up of 5 epochs, cosine to 1e-6.
# Boundaries are epochs of a recipe of max_epochs; a stage fits them to its own length.
# Under bfloat16 autocast, as GPUs train it; --no-amp is float32.
optim_wrapper = dict(
    type="AmpOptimWrapper",
    dtype="bfloat16",
    # MMPretrain's LAMB clips by the norm of all it optimises, which would couple the members: it is
    # switched off there, and each member is clipped by its own norm instead.
    optimizer=dict(type="Lamb", lr=0.005, weight_decay=0.02, max_grad_norm=1e30),
    clip_grad=dict(max_norm=1.0),
    paramwise_cfg=dict(bias_decay_mult=0.0, norm_decay_mult=0.0),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-4, begin=0, end=5),
    dict(type="CosineAnnealingLR", eta_min=1e-6, begin=5, end=300),
]
train_cfg = dict(by_epoch=True, max_epochs=300, val_interval=10)
auto_scale_lr = dict(base_batch_size=2048, enable=False)
