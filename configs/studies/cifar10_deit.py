"""Width growth of a mini DeiT at equal FLOPs, on CIFAR-10.

The study of digits_deit.py on photographs, three seeds, 0.4 epochs from scratch being the
reference: early in training, far from convergence. Sized for 2 CPU cores, so without the variants
that the studies on digits have beside the methods (averaging, net2net-noise, mixture-growth-zero)
and at one budget: benchmarks/real_images.py has others for RBDC and scratch, on the same images.

The rows of Deep Incubation and progressive were run in cifar10_deit_depth.py, with rows of their own
to compare with.

Data: data/cifar10, see configs/_base_/datasets/cifar10.py. Curves and junctions are of every fifth
test image, final accuracies of all 10,000.
Expected: self-coupling 33.7 ± 1.4, RBDC 32.2 ± 0.9, scratch 31.4 ± 0.3 % (docs/results/README.md).
Hardware: 2 CPU cores, 30 minutes.

    python tools/study.py configs/studies/cifar10_deit.py --jobs 2
"""

_base_ = "./digits_deit.py"
searching = dict(progression=dict(_base_.grid, search_epochs=0.05, batches=2, evaluations=3))
study = dict(
    recipe="configs/baselines/deit-mini_scratch_cifar10.py",
    options={
        "protocol.train_samples": 50000,
        "protocol.reference_epochs": 0.4,
        "train_dataloader.dataset.data_root": "data/cifar10",
        "val_dataloader.dataset.data_root": "data/cifar10",
        "test_dataloader.dataset.data_root": "data/cifar10",
        "val_dataloader.dataset.indices": list(range(0, 10000, 5)),
        "train_cfg.val_interval": 1,
    },
    seeds=[0, 1, 2],
    methods={
        "_delete_": True,
        "rbdc": dict(stages=_base_.coupled),
        "rbdc-1step": dict(method="rbdc", stages=[(2, "1/2"), (1, 1)]),
        "scratch": {},
        "self-coupling": dict(stages=_base_.widened),
        "net2net": dict(stages=_base_.widened),
        "tiling": dict(stages=_base_.widened),
        "aki": dict(stages=_base_.widened),
        "mixture-growth": dict(stages=[(2, "1/2"), (1, 1)]),
        "gradmax": dict(stages=_base_.inner),
        "firefly": dict(stages=_base_.inner),
        "deep-incubation": dict(stages=_base_.incubated, ratio=[3, 1, 1]),
        "autoprog": dict(protocol=searching),
        "autoprog-manual": dict(protocol=dict(progression=_base_.grid)),
        "progressive": dict(stages=_base_.growing_images),
        "reinit": dict(stages=_base_.widened),
    },
)
