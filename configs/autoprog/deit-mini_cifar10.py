"""A mini DeiT on CIFAR-10 by AutoProg: 2 to 4 blocks, 16 to 32 px, in three stages with two searches.

As many training FLOPs as configs/baselines/deit-mini_scratch_cifar10.py, searches and judging counted:
the last stage takes what the others leave. Four batches judge, since the published 50 would take a good
part of so short a run.

Data: data/cifar10, see configs/_base_/datasets/cifar10.py.
Expected: not run yet.
Hardware: 2 CPU cores.

    python tools/train.py configs/autoprog/deit-mini_cifar10.py
"""

_base_ = [
    "../_base_/models/deit-mini.py",
    "../_base_/datasets/cifar10.py",
    "../_base_/schedules/deit-mini.py",
    "../_base_/staged_runtime.py",
]
protocol = dict(
    method="autoprog",
    family="deit",
    reference_epochs=2.5,
    train_samples=50000,
    progression=dict(stages=3, scale=0.5, multiple=8, search_epochs=0.1, batches=4, budget=1.0),
)
