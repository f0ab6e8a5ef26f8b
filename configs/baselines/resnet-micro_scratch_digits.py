"""A micro ResNet-18 (base width 16) on 200 handwritten digits from scratch: the baseline of RBDC.

The recipe of configs/rbdc/resnet-micro_2step_digits.py, and its training FLOPs, in one stage.

Data: data/digits_small, made by `python tools/make_demo_data.py`.
Expected: one run (seed 100) gave 97.8 % on the test digits; no comparison over seeds yet.
Hardware: 2 CPU cores, 1 to 2 minutes.

    python tools/train.py configs/baselines/resnet-micro_scratch_digits.py
"""

_base_ = [
    "../_base_/models/resnet-micro.py",
    "../_base_/datasets/digits_small.py",
    "../_base_/schedules/resnet-micro.py",
    "../_base_/staged_runtime.py",
]
protocol = dict(method="scratch", family="resnet", reference_epochs=100, train_samples=200)
stages = [dict(members=1, width=1, epochs=100)]
