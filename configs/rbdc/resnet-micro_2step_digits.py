"""A micro ResNet-18 on 200 handwritten digits by RBDC: 4 members of base width 4 -> 2 of 8 -> 1 of 16.

As many training FLOPs as configs/baselines/resnet-micro_scratch_digits.py, all seven models counted.
200 of the 1,000 training digits, since a ResNet solves the whole set.

Data: data/digits_small, made by `python tools/make_demo_data.py`.
Expected: one run (seed 100, the seed it was set up with) gave 98.6 % on the test digits, its baseline
97.8 %; no comparison over seeds yet.
Hardware: 2 CPU cores, 1 to 3 minutes.

    python tools/train.py configs/rbdc/resnet-micro_2step_digits.py
"""

_base_ = [
    "../_base_/models/resnet-micro.py",
    "../_base_/datasets/digits_small.py",
    "../_base_/schedules/resnet-micro.py",
    "../_base_/staged_runtime.py",
]
protocol = dict(method="rbdc", family="resnet", reference_epochs=100, train_samples=200)
stages = [
    dict(members=4, width="1/4", epochs=79),
    dict(members=2, width="1/2", epochs=53),
    dict(members=1, width=1, epochs=35),
]
