"""A micro DeiT on handwritten digits by RBDC whose narrow stages see smaller images.

4 members of width 24 at 24 px -> 2 of 48 at 24 px -> 1 of 96 at 32 px: 3 x 3 patches, then 4 x 4.
Otherwise configs/rbdc/deit-micro_2step_digits.py, and as many training FLOPs as
configs/baselines/deit-micro_scratch_digits.py, all seven models counted: what smaller images save is
spent on more epochs.

Data: data/digits, made by `python tools/make_demo_data.py`.
Expected: test top-1 98.4 % (seed 0, one run; the child scored 38.7 % on val right after the step from 24
to 32 px, its parents 97). Without smaller images seed 0 gave 99.0 %.
Hardware: 3 minutes of one CPU core.

    python tools/train.py configs/rbdc/deit-micro_2step-lowres_digits.py
"""

_base_ = [
    "../_base_/models/deit-micro.py",
    "../_base_/datasets/digits.py",
    "../_base_/schedules/deit-micro.py",
    "../_base_/staged_runtime.py",
]
protocol = dict(method="rbdc", family="deit", reference_epochs=24, train_samples=1000)
stages = [
    dict(members=4, width="1/4", img_size=24, epochs=29.4),
    dict(members=2, width="1/2", img_size=24, epochs=19.6),
    dict(members=1, width=1, epochs=13.06),
]
