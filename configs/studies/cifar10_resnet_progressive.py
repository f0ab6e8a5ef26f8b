"""A mini ResNet-50 whose images grow, at equal FLOPs, on CIFAR-10.

The row of cifar10_resnet.py that grows no width, with RBDC and scratch run again beside it, as in
digits_deit_depth.py.

Data: data/cifar10, see configs/_base_/datasets/cifar10.py.
Expected: not run to its end yet.
Hardware: 1 CPU core; time not measured yet.

    python tools/study.py configs/studies/cifar10_resnet_progressive.py
"""

_base_ = "./cifar10_resnet.py"
study = dict(
    methods={
        "_delete_": True,
        "rbdc": dict(stages=_base_.coupled),
        "scratch": {},
        "autoprog": dict(protocol=_base_.searching),
        "progressive": dict(stages=_base_.growing_images),
    },
)
