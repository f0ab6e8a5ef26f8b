"""DeiT-B on ImageNet-1k from scratch for 300 epochs: the baseline of the RBDC configs.

The recipe is theirs to the letter; only the stages differ.

Expected: not run yet. The same recipe elsewhere: 81.8 % (official code).
Hardware: planned for 8 GPUs, batch 1,024; time not measured yet.
Run: tools/dist_train.sh configs/baselines/deit-b_scratch_in1k.py 8
"""

_base_ = [
    "../_base_/models/deit-base.py",
    "../_base_/datasets/imagenet_deit.py",
    "../_base_/schedules/deit_in1k.py",
    "../_base_/imagenet_runtime.py",
]
protocol = dict(method="scratch", family="deit", reference_epochs=300, train_samples=1281167)
stages = [dict(members=1, width=1, epochs=300)]
