"""What grows in depth or in its images at equal FLOPs, on 200 handwritten digits.

The rows of digits_deit.py that grow no width, Deep Incubation, AutoProg and progressive, with RBDC
and scratch run again beside them: another processor gives other accuracies for the same seed, so rows
of two runs are not put into one table.

Data: data/digits and data/digits_small, made by `python tools/make_demo_data.py --out data`.
Expected: RBDC 84.1 ± 1.4, AutoProg 65.9 ± 7.0 (without searches 66.7 ± 4.4), scratch 65.6 ± 5.2,
progressive 60.6 ± 4.4, Deep Incubation 35.9 ± 9.4 % (docs/results/README.md, with what it means).
Hardware: 1 CPU core, about 30 minutes beside other work.

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
