"""A mini ResNet-18 on CIFAR-10 by RBDC: 4 members of base width 8 -> 2 of 16 -> 1 of 32.

As many training FLOPs as configs/baselines/resnet-mini_scratch_cifar10.py, all seven models counted.

Data: data/cifar10, see configs/_base_/datasets/cifar10.py.
Expected: not measured yet; `python benchmarks/real_images.py --data data/cifar10 --study resnet-mini_cifar10` does it.
Hardware: planned for 1 CPU core; time not measured yet.

    python tools/train.py configs/rbdc/resnet-mini_2step_cifar10.py
"""

_base_ = [
    "../_base_/models/resnet-mini.py",
    "../_base_/datasets/cifar10.py",
    "../_base_/schedules/resnet-mini.py",
    "../_base_/staged_runtime.py",
]
protocol = dict(method="rbdc", family="resnet", reference_epochs=2.5, train_samples=50000)
stages = [
    dict(members=4, width="1/4", epochs=2.155),
    dict(members=2, width="1/2", epochs=1.436),
    dict(members=1, width=1, epochs=0.957),
]
