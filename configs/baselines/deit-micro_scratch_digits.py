"""A micro DeiT (width 96) on handwritten digits from scratch: the baseline of RBDC.

The recipe of configs/rbdc/deit-micro_2step_digits.py, and its training FLOPs, in one stage.

Data: data/digits, made by `python tools/make_demo_data.py`.
Expected: test top-1 94.8 ± 2.7 % (seeds 0 to 4, docs/results/README.md).
Hardware: 2 CPU cores, about 1 minute.

    python tools/train.py configs/baselines/deit-micro_scratch_digits.py
"""

_base_ = [
    "../_base_/models/deit-micro.py",
    "../_base_/datasets/digits.py",
    "../_base_/schedules/deit-micro.py",
    "../_base_/staged_runtime.py",
]
protocol = dict(method="scratch", family="deit", reference_epochs=24, train_samples=1000)
stages = [dict(members=1, width=1, epochs=24)]
