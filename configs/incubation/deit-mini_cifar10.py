"""A mini DeiT on CIFAR-10 by Deep Incubation: a meta model of 2 blocks, 2 modules of 2.

As many training FLOPs as configs/baselines/deit-mini_scratch_cifar10.py, all four models counted: what
`python tools/plan.py configs/incubation/deit-mini_cifar10.py --budget 1 --ratio 3:1:1` solves for.

Data: data/cifar10, see configs/_base_/datasets/cifar10.py.
Expected: test top-1 39.9 ± 1.1 % (39.0, 41.1 and 39.5, seeds 0 to 2), where scratch has 42.1 ± 0.8:
two thirds of an epoch for each module and for the assembled model are few for this method.
Hardware: 1 CPU core, about 5 minutes beside other work.

    python tools/train.py configs/incubation/deit-mini_cifar10.py
"""

_base_ = [
    "../_base_/models/deit-mini.py",
    "../_base_/datasets/cifar10.py",
    "../_base_/schedules/deit-mini.py",
    "../_base_/staged_runtime.py",
]
protocol = dict(method="deep-incubation", family="deit", reference_epochs=2.5, train_samples=50000)
stages = [
    dict(members=1, width=1, depth="1/2", epochs=1.976),
    dict(members=2, width=1, depth="3/4", epochs=0.657),
    dict(members=1, width=1, epochs=0.659, warmup=0),
]
