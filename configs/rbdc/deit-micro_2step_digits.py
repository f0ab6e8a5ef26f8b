"""A micro DeiT on handwritten digits by RBDC: 4 members of width 24 -> 2 of 48 -> 1 of 96.

As many training FLOPs as configs/baselines/deit-micro_scratch_digits.py, all seven models counted.

Data: data/digits, made by `python tools/make_demo_data.py`.
Expected: test top-1 98.8 ± 0.7 % (seeds 0 to 4, docs/results/README.md).
Hardware: 2 CPU cores, about 4 minutes.

    python tools/train.py configs/rbdc/deit-micro_2step_digits.py
"""

_base_ = [
    "../_base_/models/deit-micro.py",
    "../_base_/datasets/digits.py",
    "../_base_/schedules/deit-micro.py",
    "../_base_/staged_runtime.py",
]
protocol = dict(method="rbdc", family="deit", reference_epochs=24, train_samples=1000)
stages = [
    dict(members=4, width="1/4", epochs=21.9),
    dict(members=2, width="1/2", epochs=14.56),
    dict(members=1, width=1, epochs=9.7),
]
