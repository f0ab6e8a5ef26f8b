"""A mini DeiT (width 128) on CIFAR-10 from scratch: the baseline of RBDC.

The recipe of configs/rbdc/deit-mini_2step_cifar10.py, and its training FLOPs, in one stage.

Data: data/cifar10, see configs/_base_/datasets/cifar10.py.
Expected: test top-1 42.1 ± 0.8 % (seeds 0 to 2, docs/results/README.md).
Hardware: planned for 1 CPU core, about 5 to 7 minutes.

    python tools/train.py configs/baselines/deit-mini_scratch_cifar10.py
"""

_base_ = [
    "../_base_/models/deit-mini.py",
    "../_base_/datasets/cifar10.py",
    "../_base_/schedules/deit-mini.py",
    "../_base_/staged_runtime.py",
]
protocol = dict(method="scratch", family="deit", reference_epochs=2.5, train_samples=50000)
stages = [dict(members=1, width=1, epochs=2.5)]
