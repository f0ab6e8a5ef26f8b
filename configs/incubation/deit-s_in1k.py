"""DeiT-S on ImageNet-1k by Deep Incubation: a meta model of 3 blocks, 3 modules of 4.

Planned for 70 % of the training FLOPs of 300 epochs from scratch (configs/baselines/deit-s_scratch_in1k.py),
lengths as 3:1:1, as published: what
`python tools/plan.py configs/incubation/deit-s_in1k.py --budget 0.7 --ratio 3:1:1` solves for. The published
300 + 100 + 100 epochs are 1.01 times scratch. Warm-up 14 epochs, the published 20 shortened as the
lengths are, and none for the assembled model; the rest is the recipe of the other DeiTs here, so that
methods compare. The modules of a stage can be trained as jobs of their own:
tools/train.py CONFIG --stage 1 --member 2.

Expected: not run yet. Baseline of the same recipe elsewhere: 79.8 % (DeiT-S, 300 epochs, official code).
Hardware: planned for 8 GPUs, batch 1,024; time not measured yet.
Run: tools/dist_train.sh configs/incubation/deit-s_in1k.py 8
One GPU: python tools/train.py configs/incubation/deit-s_in1k.py --auto-scale-lr
"""

_base_ = [
    "../_base_/models/deit-small.py",
    "../_base_/datasets/imagenet_deit.py",
    "../_base_/schedules/deit_in1k.py",
    "../_base_/imagenet_runtime.py",
]
protocol = dict(
    method="deep-incubation", family="deit", reference_epochs=300, train_samples=1281167
)
stages = [
    dict(
        members=1,
        width=1,
        depth="3/12",
        epochs=207.2174,
        warmup=14,
        model=dict(backbone=dict(drop_path_rate=0.0)),
    ),
    dict(members=3, width=1, depth="6/12", epochs=69.072, warmup=14),
    dict(members=1, width=1, epochs=69.0735, warmup=0),
]
