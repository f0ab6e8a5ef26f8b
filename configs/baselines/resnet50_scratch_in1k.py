"""ResNet-50 on ImageNet-1k from scratch for 300 epochs: the baseline of the RBDC configs.

The recipe is theirs to the letter; only the stages differ.

Expected: not run yet. The same recipe elsewhere: 79.55 % (recipe A2, MMPretrain).
Hardware: planned for 8 GPUs, batch 2,048; time not measured yet.
Run: tools/dist_train.sh configs/baselines/resnet50_scratch_in1k.py 8
"""

_base_ = [
    "../_base_/models/resnet50.py",
    "../_base_/datasets/imagenet_resnet.py",
    "../_base_/schedules/resnet_in1k.py",
    "../_base_/imagenet_runtime.py",
]
protocol = dict(method="scratch", family="resnet", reference_epochs=300, train_samples=1281167)
stages = [dict(members=1, width=1, epochs=300)]
lockstep = dict(channels_last=True)
