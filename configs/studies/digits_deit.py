"""Width growth of a micro DeiT at equal FLOPs, on 200 handwritten digits.

The 1,000 digits of the demo saturate; these are 200 of them, with the same validation and test
digits. One budget for all methods, three for RBDC and scratch. Every narrow stage trains 1.5 times
as many epochs as the next one. Methods that widen one model take the two steps that RBDC takes;
MixtureGrowth knows one, and GradMax and Firefly grow the hidden units only. Deep Incubation has its
published lengths, 3 : 1 : 1, and no warm-up of the assembled model. The rows of Deep Incubation and
progressive were run in digits_deit_depth.py, with rows of their own to compare with.

Data: data/digits and data/digits_small, made by `python tools/make_demo_data.py --out data`.
Expected: RBDC 81.7 ± 2.2, scratch 67.6 ± 5.9, self-coupling 84.6 ± 0.7 % (docs/results/README.md).
Hardware: 2 CPU cores, about 90 minutes beside other work.

    python tools/study.py configs/studies/digits_deit.py --jobs 2
"""

coupled, widened = [(4, "1/4"), (2, "1/2"), (1, 1)], [(1, "1/4"), (1, "1/2"), (1, 1)]
inner = [(1, 1, "1/2"), (1, 1)]  # the whole width, half of the hidden units
grid = dict(stages=3, scale=0.5, img_sizes=[16, 24, 32])  # and 2, 3, 4 blocks of a DeiT
searching = dict(progression=dict(grid, search_epochs=2, batches=2, evaluations=3))
growing_images = [dict(members=1, width=1, img_size=size) for size in (16, 24)] + [(1, 1)]
meta_model = dict(model=dict(backbone=dict(drop_path_rate=0.0)))  # of two blocks, for two modules
incubated = [
    dict(members=1, width=1, depth="1/2", **meta_model),
    dict(members=2, width=1, depth="3/4"),
    dict(members=1, width=1, warmup=0),
]
in_process = {  # two runs on two cores leave none for workers
    f"{split}_dataloader.{key}": value
    for split in ("train", "val", "test")
    for key, value in (("num_workers", 0), ("persistent_workers", False))
}
study = dict(
    recipe="configs/baselines/deit-micro_scratch_digits.py",
    options={
        "protocol.train_samples": 200,
        "protocol.reference_epochs": 60,
        "train_dataloader.dataset.data_root": "data/digits_small",
        "val_dataloader.dataset.data_root": "data/digits_small",
        "test_dataloader.dataset.data_root": "data/digits_small",
        # An epoch is 4 steps here: validating and saving after each would take a third of the time.
        "train_cfg.val_interval": 5,
        "default_hooks.checkpoint.interval": 10,
        **in_process,
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
        "deep-incubation": dict(stages=incubated, ratio=[3, 1, 1]),
        "autoprog": dict(protocol=searching),
        "autoprog-manual": dict(protocol=dict(progression=grid)),
        "progressive": dict(stages=growing_images),
        "reinit": dict(stages=widened),
    },
)
