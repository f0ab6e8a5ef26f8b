"""Width growth of a mini ResNet-50 at equal FLOPs, on CIFAR-10.

The study of cifar10_deit.py with a ResNet of bottlenecks (base width 16).

Data: data/cifar10, see configs/_base_/datasets/cifar10.py.
Expected: not run yet.
Hardware: 2 CPU cores; time not measured yet.

    python tools/study.py configs/studies/cifar10_resnet.py --jobs 2
"""

coupled, widened = [(4, "1/4"), (2, "1/2"), (1, 1)], [(1, "1/4"), (1, "1/2"), (1, 1)]
inner = [(1, 1, "1/2"), (1, 1)]  # the whole width, blocks half as wide inside
study = dict(
    recipe="configs/baselines/resnet-mini_scratch_cifar10.py",
    options={
        "protocol.reference_epochs": 0.6,
        "model.backbone.depth": 50,
        "model.backbone.base_channels": 16,
        "model.backbone.stem_channels": 16,
        "model.head.in_channels": 512,
    },
    seeds=[0, 1, 2],
    budgets=[1.0],
    methods={
        "rbdc": dict(stages=coupled, budgets=[0.5, 1.0, 2.0]),
        "rbdc-1step": dict(method="rbdc", stages=[(2, "1/2"), (1, 1)]),
        "scratch": dict(budgets=[0.5, 1.0, 2.0]),
        "averaging": dict(stages=coupled),
        "self-coupling": dict(stages=widened),
        "net2net": dict(stages=widened),
        "net2net-noise": dict(stages=widened),
        "tiling": dict(stages=widened),
        "aki": dict(stages=widened),
        "mixture-growth": dict(stages=[(2, "1/2"), (1, 1)]),
        "mixture-growth-zero": dict(stages=[(2, "1/2"), (1, 1)]),
        "gradmax": dict(stages=inner),
        "firefly": dict(stages=inner),
        "reinit": dict(stages=widened),
    },
)
