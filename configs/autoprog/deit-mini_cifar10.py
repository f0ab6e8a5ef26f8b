"""A mini DeiT on CIFAR-10 by AutoProg: 2 to 4 blocks, 16 to 32 px, in three stages with two searches.

As many training FLOPs as configs/baselines/deit-mini_scratch_cifar10.py, searches and judging counted:
the last stage takes what the others leave. Four batches judge, since the published 50 would take a good
part of so short a run.

Data: data/cifar10, see configs/_base_/datasets/cifar10.py.
Expected: test top-1 45.0 ± 2.7 % (47.9, 44.3 and 42.7, seeds 0 to 2: the fewer pixels the searches
choose, the more steps there are), where scratch has 42.1 ± 0.8 (docs/results/README.md).
Hardware: 1 CPU core, 5 minutes.

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
