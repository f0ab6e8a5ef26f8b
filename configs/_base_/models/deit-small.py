# DeiT-S (22.1 M parameters, 9.2 GFLOPs = 4.6 G multiply-adds at 224 px), otherwise as deit-base.py.
_base_ = "./deit-base.py"
model = dict(backbone=dict(arch="deit-small"), head=dict(in_channels=384))
