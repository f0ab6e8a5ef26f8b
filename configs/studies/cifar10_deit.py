"""Width growth of a mini DeiT at equal FLOPs, on CIFAR-10.

The study of digits_deit.py on photographs, 0.6 epochs from scratch being the reference: early in
training, far from convergence.

Data: data/cifar10, see configs/_base_/datasets/cifar10.py.
Expected: not run yet.
Hardware: 2 CPU cores; time not measured yet.

    python tools/study.py configs/studies/cifar10_deit.py --jobs 2
"""

_base_ = "./digits_deit.py"
study = dict(
    recipe="configs/baselines/deit-mini_scratch_cifar10.py",
    options={
        "protocol.train_samples": 50000,
        "protocol.reference_epochs": 0.6,
        "train_dataloader.dataset.data_root": "data/cifar10",
        "val_dataloader.dataset.data_root": "data/cifar10",
        "test_dataloader.dataset.data_root": "data/cifar10",
        "train_cfg.val_interval": 1,
    },
    seeds=[0, 1, 2],
    # Other budgets of these two, on the same images: benchmarks/real_images.py.
    methods={"rbdc": dict(budgets=[1.0]), "scratch": dict(budgets=[1.0])},
)
