"""DeiT-B on ImageNet-1k by Deep Incubation: a meta model of 4 blocks, 4 modules of 3.

Planned for 70 % of the training FLOPs of 300 epochs from scratch (configs/baselines/deit-b_scratch_in1k.py),
lengths as 3:1:1, as published: what
`python tools/plan.py configs/incubation/deit-b_in1k.py --budget 0.7 --ratio 3:1:1` solves for. The published
300 + 100 + 100 epochs are 1.17 times scratch. Warm-up 12 epochs, the published 20 shortened as the
lengths are, and none for the assembled model; the rest is the recipe of the other DeiTs here, so that
methods compare. The modules of a stage can be trained as jobs of their own:
tools/train.py CONFIG --stage 1 --member 2.

Expected: not run yet. Baseline of the same recipe elsewhere: 81.8 % (DeiT-B, 300 epochs, official code).
Hardware: planned for 8 GPUs, batch 1,024; time not measured yet.
Run: tools/dist_train.sh configs/incubation/deit-b_in1k.py 8
One GPU: python tools/train.py configs/incubation/deit-b_in1k.py --auto-scale-lr
"""

_base_ = [
    "../_base_/models/deit-base.py",
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
        depth="4/12",
        epochs=178.806,
        warmup=12,
        model=dict(backbone=dict(drop_path_rate=0.0)),
    ),
    dict(members=4, width=1, depth="6/12", epochs=59.601, warmup=12),
    dict(members=1, width=1, epochs=59.602, warmup=0),
]
