"""A micro DeiT of half the width on 200 handwritten digits, for the FLOPs of digits_deit.py.

The control for growth methods whose copies stay equal, so that the grown model computes what one
of half the width does: what such a model reaches when all of the FLOPs go into it from the start.

Data: data/digits and data/digits_small, made by `python tools/make_demo_data.py --out data`.
Expected: 89.0 ± 1.2 % (docs/results/README.md).
Hardware: 2 CPU cores, 5 minutes.

    python tools/study.py configs/studies/digits_deit_half-width.py --jobs 2
"""

_base_ = "./digits_deit.py"
study = dict(
    options={
        "protocol.reference_epochs": 225.5,  # 579 GFLOPs, as 60 epochs of the whole width
        "model.backbone.arch.embed_dims": 48,
        "model.backbone.arch.num_heads": 2,
        "model.backbone.arch.feedforward_channels": 192,
        "model.head.in_channels": 48,
    },
    methods=dict(_delete_=True, scratch=dict()),
)
