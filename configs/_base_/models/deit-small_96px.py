# DeiT-S for 96 px images: patches of 8 px, 144 of them; ten classes. Otherwise as deit-small.py.
_base_ = "./deit-small.py"
model = dict(backbone=dict(img_size=96, patch_size=8), head=dict(num_classes=10))
