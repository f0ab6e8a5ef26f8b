# 36 epochs of 16 images per step, the lr dropped at the same shares of them; otherwise as
# vitdet_100e_coco.py.
_base_ = "./vitdet_100e_coco.py"
train_cfg = dict(max_epochs=36, val_interval=3)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type="MultiStepLR", begin=0, end=36, by_epoch=True, milestones=[32, 35], gamma=0.1),
]
auto_scale_lr = dict(base_batch_size=16)
