"""Width growth of a micro DeiT at equal FLOPs, on 200 handwritten digits.

The 1,000 digits of the demo saturate; these are 200 of them, with the same validation and test
digits. One budget for all methods, three for RBDC and scratch. The narrow stages of the methods
that widen one model are half as wide, or a quarter and half as wide, and train 1.5 times as many
epochs as the next stage, as RBDC's do.

Data: data/digits and data/digits_small, made by `python tools/make_demo_data.py --out data`.
Expected: not run yet.
Hardware: 2 CPU cores; time not measured yet.

    python tools/study.py configs/studies/digits_deit.py --jobs 2
"""

two_steps = [(1, "1/4"), (1, "1/2"), (1, 1)]
study = dict(
    recipe="configs/baselines/deit-micro_scratch_digits.py",
    options={
        "protocol.train_samples": 200,
        "protocol.reference_epochs": 60,
        "train_dataloader.dataset.data_root": "data/digits_small",
        "val_dataloader.dataset.data_root": "data/digits_small",
        "test_dataloader.dataset.data_root": "data/digits_small",
    },
    seeds=[0, 1, 2, 3, 4],
    budgets=[1.0],
    methods={
        "rbdc": dict(stages=[(4, "1/4"), (2, "1/2"), (1, 1)], budgets=[0.5, 1.0, 2.0]),
        "rbdc-1step": dict(method="rbdc", stages=[(2, "1/2"), (1, 1)]),
        "scratch": dict(budgets=[0.5, 1.0, 2.0]),
        "averaging": dict(stages=[(4, "1/4"), (2, "1/2"), (1, 1)]),
        "self-coupling": dict(stages=two_steps),
        "net2net": dict(stages=two_steps),
        "net2net-noise": dict(stages=two_steps),
        "tiling": dict(stages=two_steps),
        "aki": dict(stages=two_steps),
    },
)
