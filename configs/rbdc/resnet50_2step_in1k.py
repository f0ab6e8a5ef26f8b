"""ResNet-50 on ImageNet-1k by RBDC: 4 x ResNet-50 at 1/4 width -> 2 x at 1/2 width -> ResNet-50.

Planned for 70 % of the training FLOPs of 300 epochs from scratch (configs/baselines/resnet50_scratch_in1k.py),
narrow over wide epochs 1.5 between consecutive stages: what
`python tools/plan.py configs/rbdc/resnet50_2step_in1k.py --budget 0.7 --ratio 1.5` solves for.

Expected: not run yet. Baseline of the same recipe elsewhere: 79.55 % (ResNet-50, recipe A2, MMPretrain).
Hardware: planned for 8 GPUs, batch 2,048; time not measured yet.
Run: tools/dist_train.sh configs/rbdc/resnet50_2step_in1k.py 8
One GPU: python tools/train.py configs/rbdc/resnet50_2step_in1k.py --auto-scale-lr
"""

_base_ = [
    "../_base_/models/resnet50.py",
    "../_base_/datasets/imagenet_resnet.py",
    "../_base_/schedules/resnet_in1k.py",
    "../_base_/imagenet_runtime.py",
]
protocol = dict(method="rbdc", family="resnet", reference_epochs=300, train_samples=1281167)
stages = [
    dict(members=4, width="1/4", epochs=198.19),
    dict(members=2, width="1/2", epochs=132.13),
    dict(members=1, width=1, epochs=88.08),
]
lockstep = dict(channels_last=True)
