"""A mini DeiT of half the width from scratch, for the FLOPs of cifar10_resolution.py.

The control for what its narrow stages gain by being narrow: a model of half the width sees more
images for the same FLOPs, and is not grown.

Data: data/cifar10, see configs/_base_/datasets/cifar10.py.
Expected: 48.6 ± 1.0 %, above all rows of that study (docs/results/README.md).
Hardware: 2 CPU cores, 15 minutes.

    python tools/study.py configs/studies/cifar10_resolution_half-width.py --jobs 2
"""

_base_ = "./cifar10_resolution.py"
study = dict(
    options={
        "protocol.reference_epochs": 4.77,  # 5.28 TFLOPs, as 1.25 epochs of the whole width
        "model.backbone.arch.embed_dims": 64,
        "model.backbone.arch.num_heads": 2,
        "model.backbone.arch.feedforward_channels": 256,
        "model.head.in_channels": 64,
    },
    methods=dict(_delete_=True, scratch=dict()),
)
