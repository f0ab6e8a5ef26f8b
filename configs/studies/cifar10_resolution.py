"""RBDC with smaller images in its narrow stages, a mini DeiT on CIFAR-10.

Two steps, as in configs/rbdc/deit-mini_2step_cifar10.py, at half of its reference's FLOPs; the narrow
stages see 32 px or 24 px (9 patches instead of 16), which lets them see more images for the same
FLOPs. From scratch with the same FLOPs: configs/baselines/deit-mini_scratch_cifar10.py at a budget of 0.5,
see docs/results/README.md.

Data: data/cifar10, see configs/_base_/datasets/cifar10.py.
Expected: 32 px 40.9 ± 0.7, 24 px 45.9 ± 0.2 % (docs/results/README.md).
Hardware: 2 CPU cores, about 25 minutes beside other work.

    python tools/study.py configs/studies/cifar10_resolution.py --jobs 2
"""

_base_ = "./cifar10_deit.py"
study = dict(
    options={
        "protocol.reference_epochs": 1.25,
        "val_dataloader.dataset.indices": None,  # all test images
    },
    methods={
        "_delete_": True,
        "rbdc": dict(stages=[(4, "1/4"), (2, "1/2"), (1, 1)]),
        "rbdc-24px": dict(
            method="rbdc",
            stages=[
                dict(members=4, width="1/4", img_size=24),
                dict(members=2, width="1/2", img_size=24),
                (1, 1),
            ],
        ),
    },
)
