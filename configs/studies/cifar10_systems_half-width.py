"""A mini DeiT of half the width from scratch, for the FLOPs of cifar10_systems.py.

The control for what its rows gain by being small first: a smaller model sees more images for the
same FLOPs, and is not grown.

Data: data/cifar10, see configs/_base_/datasets/cifar10.py.
Expected: 51.4 ± 1.1 %, above every row of cifar10_systems.py (docs/results/README.md).
Hardware: 1 CPU core, 11 minutes.

    python tools/study.py configs/studies/cifar10_systems_half-width.py --jobs 2
"""

_base_ = "./cifar10_systems.py"
study = dict(
    options={
        "protocol.reference_epochs": 6.106,  # 6.76 TFLOPs, as 1.6 epochs of the whole width
        "model.backbone.arch.embed_dims": 64,
        "model.backbone.arch.num_heads": 2,
        "model.backbone.arch.feedforward_channels": 256,
        "model.head.in_channels": 64,
    },
    methods=dict(_delete_=True, scratch=dict()),
)
