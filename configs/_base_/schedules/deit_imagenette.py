# DeiT's schedule for 100 epochs of 74 iterations at a batch of 128: the same shape, half of its lr.
# Boundaries are epochs of a recipe of max_epochs; a stage fits them to its own length.
_base_ = "./deit_official.py"
optim_wrapper = dict(optimizer=dict(lr=5e-4))
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-3, begin=0, end=5),
    dict(type="CosineAnnealingLR", eta_min=1e-5, begin=5, end=100),
]
train_cfg = dict(by_epoch=True, max_epochs=100, val_interval=10)
auto_scale_lr = dict(base_batch_size=128, enable=False)
