"""A micro DeiT on handwritten digits by AutoProg: 2 to 4 blocks, 16 to 32 px, two searches.

As many training FLOPs as configs/baselines/deit-micro_scratch_digits.py, searches and judging
counted: the last stage takes what the others leave. Two batches judge, since those of ImageNet's size
would take a good part of so short a run.

Data: data/digits, made by `python tools/make_demo_data.py`.
Expected: not run yet.
Hardware: 2 CPU cores, about 4 minutes.

    python tools/train.py configs/autoprog/deit-micro_digits.py
"""

_base_ = [
    "../_base_/models/deit-micro.py",
    "../_base_/datasets/digits.py",
    "../_base_/schedules/deit-micro.py",
    "../_base_/staged_runtime.py",
]
protocol = dict(
    method="autoprog",
    family="deit",
    reference_epochs=24,
    train_samples=1000,
    progression=dict(stages=3, scale=0.5, multiple=8, search_epochs=1, batches=2, budget=1.0),
)
