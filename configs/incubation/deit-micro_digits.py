"""A micro DeiT on handwritten digits by Deep Incubation: a meta model of 2 blocks, 2 modules of 2.

As many training FLOPs as configs/baselines/deit-micro_scratch_digits.py, all four models counted: what
`python tools/plan.py configs/incubation/deit-micro_digits.py --budget 1 --ratio 3:1:1` solves for.

Data: data/digits, made by `python tools/make_demo_data.py`.
Expected: test top-1 60.1 ± 18.8 % (38.8, 74.6 and 66.8, seeds 0 to 2), where scratch has 94.8 ± 2.7:
a budget of 24 epochs leaves 6 to each module and to the assembled model, too few for this method.
Hardware: 1 CPU core, about 2 minutes beside other work.

    python tools/train.py configs/incubation/deit-micro_digits.py
"""

_base_ = [
    "../_base_/models/deit-micro.py",
    "../_base_/datasets/digits.py",
    "../_base_/schedules/deit-micro.py",
    "../_base_/staged_runtime.py",
]
protocol = dict(method="deep-incubation", family="deit", reference_epochs=24, train_samples=1000)
stages = [
    dict(members=1, width=1, depth="1/2", epochs=18.9, model=dict(backbone=dict(drop_path_rate=0))),
    dict(members=2, width=1, depth="3/4", epochs=6.25),
    dict(members=1, width=1, epochs=6.3, warmup=0),
]
