"""A micro ResNet-50 whose images grow, at equal FLOPs, on 200 handwritten digits.

The rows of digits_resnet.py that grow no width, with RBDC and scratch run again beside them, as in
digits_deit_depth.py.

Data: data/digits_small, made by `python tools/make_demo_data.py --out data`.
Expected: AutoProg 95.9 ± 1.1, RBDC 95.8 ± 1.3, scratch 95.2 ± 1.3, progressive 93.8 ± 0.8 %
(docs/results/README.md).
Hardware: 1 CPU core, 43 minutes beside other work.

    python tools/study.py configs/studies/digits_resnet_progressive.py
"""

_base_ = "./digits_resnet.py"
study = dict(
    methods={
        "_delete_": True,
        "rbdc": dict(stages=_base_.coupled),
        "scratch": {},
        "autoprog": dict(protocol=_base_.searching),
        "progressive": dict(stages=_base_.growing_images),
    },
)
