# 24 epochs of 4 images per step with a larger lr, for the mini DeiT; layer decay 0.8 for its four
# layers. Otherwise as vitdet_100e_coco.py.
_base_ = "./vitdet_100e_coco.py"
train_cfg = dict(max_epochs=24, val_interval=24)
optim_wrapper = dict(optimizer=dict(lr=1e-3), paramwise_cfg=dict(decay_rate=0.8))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.01, by_epoch=False, begin=0, end=100),
    dict(type="MultiStepLR", begin=0, end=24, by_epoch=True, milestones=[18, 22], gamma=0.1),
]
auto_scale_lr = dict(base_batch_size=4)
