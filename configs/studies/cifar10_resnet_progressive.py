"""A mini ResNet-50 whose images grow, at equal FLOPs, on CIFAR-10.

The rows of cifar10_resnet.py that grow no width, with RBDC and scratch run again beside them, as in
digits_deit_depth.py.

Data: data/cifar10, see configs/_base_/datasets/cifar10.py.
Expected: RBDC 44.6 ± 1.0, progressive 38.6 ± 0.8, AutoProg 38.0 ± 0.4, scratch 37.3 ± 1.6 %
(docs/results/README.md, with what it means).
Hardware: 1 CPU core, 16 minutes beside other work.

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
