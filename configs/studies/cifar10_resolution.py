"""Smaller images in the narrow stages, a mini DeiT on CIFAR-10, with the controls that this needs.

RBDC with two steps, as in configs/rbdc/deit-mini_2step_cifar10.py, at half of its reference's
FLOPs, the narrow stages seeing 32 px or 24 px (9 patches instead of 16), which lets them see more
images for the same FLOPs. Whether that is RBDC's doing tell the rows beside it, at equal FLOPs:
from scratch at 32 px; one model of the full width whose images grow (16, 24, 32 px); widening by
self-coupling with 24 px. Half the width from scratch, which also sees more images for the same
FLOPs: cifar10_resolution_half-width.py.

Data: data/cifar10, see configs/_base_/datasets/cifar10.py.
Expected: self-coupling with 24 px 46.3 ± 0.3, RBDC with 24 px 46.0 ± 0.6, RBDC 41.2 ± 0.4,
progressive 40.8 ± 1.0, scratch 37.3 ± 0.3 % (docs/results/README.md, with what it means).
Hardware: 2 CPU cores, about one hour.

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
        "scratch": {},
        "rbdc": dict(stages=[(4, "1/4"), (2, "1/2"), (1, 1)]),
        "rbdc-24px": dict(
            method="rbdc",
            stages=[
                dict(members=4, width="1/4", img_size=24),
                dict(members=2, width="1/2", img_size=24),
                (1, 1),
            ],
        ),
        "progressive": dict(
            stages=[
                dict(members=1, width=1, img_size=16),
                dict(members=1, width=1, img_size=24),
                (1, 1),
            ],
        ),
        "self-coupling-24px": dict(
            method="self-coupling",
            stages=[
                dict(members=1, width="1/4", img_size=24),
                dict(members=1, width="1/2", img_size=24),
                (1, 1),
            ],
        ),
    },
)
