"""A micro DeiT on handwritten digits by AutoProg: 2 to 4 blocks, 16 to 32 px, two searches.

As many training FLOPs as configs/baselines/deit-micro_scratch_digits.py, searches and judging
counted: the last stage takes what the others leave. Two batches judge, since those of ImageNet's size
would take a good part of so short a run.

Data: data/digits, made by `python tools/make_demo_data.py`.
Expected: test top-1 93.2 ± 1.6 % (92.4, 95.0 and 92.2, seeds 0 to 2), where scratch has 94.8 ± 2.7: level.
Hardware: 2 CPU cores, 1 to 4 minutes.

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
