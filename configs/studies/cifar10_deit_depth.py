"""What grows in depth or in its images at equal FLOPs, a mini DeiT on CIFAR-10.

The rows of cifar10_deit.py that grow no width, with RBDC and scratch run again beside them, as in
digits_deit_depth.py.

Data: data/cifar10, see configs/_base_/datasets/cifar10.py.
Expected: AutoProg without searches 34.5 ± 1.1, progressive 32.4 ± 0.7, RBDC 32.2 ± 0.9, AutoProg
32.0 ± 0.9, scratch 31.4 ± 0.3, Deep Incubation 27.7 ± 0.9 % (docs/results/README.md, with what it
means).
Hardware: 1 CPU core, 51 minutes beside other work.

    python tools/study.py configs/studies/cifar10_deit_depth.py
"""

_base_ = "./cifar10_deit.py"
study = dict(
    methods={
        "_delete_": True,
        "rbdc": dict(stages=_base_.coupled),
        "scratch": {},
        "deep-incubation": dict(stages=_base_.incubated, ratio=[3, 1, 1]),
        "autoprog": dict(protocol=_base_.searching),
        "autoprog-manual": dict(protocol=dict(progression=_base_.grid)),
        "progressive": dict(stages=_base_.growing_images),
    },
)
