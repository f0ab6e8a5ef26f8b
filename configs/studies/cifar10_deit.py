"""Width growth of a mini DeiT at equal FLOPs, on CIFAR-10.

The study of digits_deit.py on photographs, 0.6 epochs from scratch being the reference: early in
training, far from convergence.

Data: data/cifar10, see configs/_base_/datasets/cifar10.py.
Expected: not run yet.
Hardware: 2 CPU cores; time not measured yet.

    python tools/study.py configs/studies/cifar10_deit.py --jobs 2
"""

coupled, widened = [(4, "1/4"), (2, "1/2"), (1, 1)], [(1, "1/4"), (1, "1/2"), (1, 1)]
inner = [(1, 1, "1/2"), (1, 1)]  # the whole width, half of the hidden units
study = dict(
    recipe="configs/baselines/deit-mini_scratch_cifar10.py",
    options={"protocol.reference_epochs": 0.6},
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
