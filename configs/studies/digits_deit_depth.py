"""What grows in depth or in its images at equal FLOPs, on 200 handwritten digits.

The rows of digits_deit.py that grow no width, Deep Incubation and progressive, with RBDC and
scratch run again beside them: another processor gives other accuracies for the same seed, so rows
of two runs are not put into one table.

Data: data/digits and data/digits_small, made by `python tools/make_demo_data.py --out data`.
Hardware: 1 CPU core.

    python tools/study.py configs/studies/digits_deit_depth.py
"""

_base_ = "./digits_deit.py"
study = dict(
    methods={
        "_delete_": True,
        "rbdc": dict(stages=_base_.coupled),
        "scratch": {},
        "deep-incubation": dict(stages=_base_.incubated, ratio=[3, 1, 1]),
        "autoprog": dict(protocol=_base_.searching),
        "autoprog-manual": dict(protocol=dict(progression=_base_.grid)),
        "progressive": dict(stages=_base_.growing_images),
    },
)
