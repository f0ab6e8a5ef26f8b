# SGD as in MMPretrain's CIFAR recipes for runs of a few epochs; boundaries in epochs of a recipe of
# max_epochs.
optim_wrapper = dict(
    optimizer=dict(type="SGD", lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True)
)
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-2, begin=0, end=0.2),
    dict(type="CosineAnnealingLR", eta_min=0.0, begin=0.2, end=2.5),
]
train_cfg = dict(by_epoch=True, max_epochs=2.5, val_interval=1)
