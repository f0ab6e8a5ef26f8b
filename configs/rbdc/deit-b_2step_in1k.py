"""DeiT-B on ImageNet-1k by RBDC: 4 x DeiT-T -> 2 x DeiT-S -> 1 x DeiT-B.

Planned for 70 % of the training FLOPs of 300 epochs from scratch (configs/baselines/deit-b_scratch_in1k.py),
narrow over wide epochs 1.5 between consecutive stages: what
`python tools/plan.py configs/rbdc/deit-b_2step_in1k.py --budget 0.7 --ratio 1.5` solves for.

Expected: not run yet. Baseline of the same recipe elsewhere: 81.8 % (DeiT-B, 300 epochs, official code).
Hardware: planned for 8 GPUs, batch 1,024; time not measured yet.
Run: tools/dist_train.sh configs/rbdc/deit-b_2step_in1k.py 8
One GPU: python tools/train.py configs/rbdc/deit-b_2step_in1k.py --auto-scale-lr
"""

_base_ = [
    "../_base_/models/deit-base.py",
    "../_base_/datasets/imagenet_deit.py",
    "../_base_/schedules/deit_in1k.py",
    "../_base_/imagenet_runtime.py",
]
protocol = dict(method="rbdc", family="deit", reference_epochs=300, train_samples=1281167)
stages = [
    dict(members=4, width="1/4", epochs=194.61),
    dict(members=2, width="1/2", epochs=129.74),
    dict(members=1, width=1, epochs=86.49),
]
