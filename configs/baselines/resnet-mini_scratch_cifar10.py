"""A mini ResNet-18 (base width 32) on CIFAR-10 from scratch: the baseline of RBDC.

The recipe of configs/rbdc/resnet-mini_2step_cifar10.py, and its training FLOPs, in one stage.

Data: data/cifar10, see configs/_base_/datasets/cifar10.py.
Expected: not measured yet; `python benchmarks/real_images.py --data data/cifar10 --study resnet-mini_cifar10` does it.
Hardware: planned for 1 CPU core; time not measured yet.

    python tools/train.py configs/baselines/resnet-mini_scratch_cifar10.py
"""

_base_ = [
    "../_base_/models/resnet-mini.py",
    "../_base_/datasets/cifar10.py",
    "../_base_/schedules/resnet-mini.py",
    "../_base_/staged_runtime.py",
]
protocol = dict(method="scratch", family="resnet", reference_epochs=2.5, train_samples=50000)
stages = [dict(members=1, width=1, epochs=2.5)]
