"""Width growth of a micro ResNet-50 at equal FLOPs, on 200 handwritten digits.

The study of digits_deit.py with a ResNet of bottlenecks (base width 8), whose inner width GradMax
and Firefly can grow.

Data: data/digits_small, made by `python tools/make_demo_data.py --out data`.
Expected: not run yet.
Hardware: 2 CPU cores; time not measured yet.

    python tools/study.py configs/studies/digits_resnet.py --jobs 2
"""

coupled, widened = [(4, "1/4"), (2, "1/2"), (1, 1)], [(1, "1/4"), (1, "1/2"), (1, 1)]
inner = [(1, 1, "1/2"), (1, 1)]  # the whole width, blocks half as wide inside
study = dict(
    recipe="configs/baselines/resnet-micro_scratch_digits.py",
    options={
        "protocol.reference_epochs": 60,
        "model.backbone.depth": 50,
        "model.backbone.base_channels": 8,
        "model.backbone.stem_channels": 8,
        "model.head.in_channels": 256,
    },
    seeds=[0, 1, 2, 3, 4],
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
