# ResNet-18 at half of its width, for 32 px photographs on a CPU.
_base_ = "./resnet-micro.py"
model = dict(
    backbone=dict(base_channels=32, stem_channels=32),
    head=dict(in_channels=256),
)
