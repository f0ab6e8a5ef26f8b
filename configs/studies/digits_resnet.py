"""Width growth of a micro ResNet-50 at equal FLOPs, on 200 handwritten digits.

The study of digits_deit.py with a ResNet of bottlenecks (base width 8), whose inner width GradMax
and Firefly can grow. Without Deep Incubation, whose blocks must be all alike. The row of progressive
was run in digits_resnet_progressive.py, with rows of its own to compare with.

Data: data/digits_small, made by `python tools/make_demo_data.py --out data`.
Expected: scratch 96.0 ± 0.6, RBDC 95.5 ± 0.5, net2net 93.5 ± 1.3 % (docs/results/README.md).
Hardware: 2 CPU cores, about 57 minutes beside other work.

    python tools/study.py configs/studies/digits_resnet.py --jobs 2
"""

_base_ = "./digits_deit.py"
depth_alone = ("deep-incubation", "autoprog-manual")
study = dict(
    recipe="configs/baselines/resnet-micro_scratch_digits.py",
    options={
        "model.backbone.depth": 50,
        "model.backbone.base_channels": 8,
        "model.backbone.stem_channels": 8,
        "model.head.in_channels": 256,
    },
    methods={
        "_delete_": True,
        **{k: v for k, v in _base_.study.methods.items() if k not in depth_alone},
    },
)
