"""A mini DeiT on CIFAR-10 by RBDC: 4 members of width 32 -> 2 of 64 -> 1 of 128.

As many training FLOPs as configs/baselines/deit-mini_scratch_cifar10.py, all seven models counted.

Data: data/cifar10, see configs/_base_/datasets/cifar10.py.
Expected: test top-1 40.8 ± 0.7 % at half of these FLOPs and 46.6 ± 0.6 % at three quarters (seeds
0 to 2, docs/results/README.md); not run at this length.
Hardware: planned for 1 CPU core, about 7 to 10 minutes.

    python tools/train.py configs/rbdc/deit-mini_2step_cifar10.py
"""

_base_ = [
    "../_base_/models/deit-mini.py",
    "../_base_/datasets/cifar10.py",
    "../_base_/schedules/deit-mini.py",
    "../_base_/staged_runtime.py",
]
protocol = dict(method="rbdc", family="deit", reference_epochs=2.5, train_samples=50000)
stages = [
    dict(members=4, width="1/4", epochs=2.313),
    dict(members=2, width="1/2", epochs=1.541),
    dict(members=1, width=1, epochs=1.028),
]
