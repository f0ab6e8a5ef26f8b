"""A micro ResNet-50 whose images grow, at equal FLOPs, on 200 handwritten digits.

The row of digits_resnet.py that grows no width, with RBDC and scratch run again beside it, as in
digits_deit_depth.py.

Data: data/digits_small, made by `python tools/make_demo_data.py --out data`.
Hardware: 1 CPU core.

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
