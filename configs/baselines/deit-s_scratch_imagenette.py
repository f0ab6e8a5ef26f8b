"""DeiT-S on Imagenette at 96 px from scratch for 100 epochs: the baseline of RBDC.

The recipe of configs/rbdc/deit-s_1step_imagenette.py, and its training FLOPs, in one stage.

Data: data/imagenette, see configs/_base_/datasets/imagenette.py.
Expected: not run yet.
Hardware: planned for 1 GPU, batch 128; time not measured yet.

    python tools/train.py configs/baselines/deit-s_scratch_imagenette.py --amp
"""

_base_ = [
    "../_base_/models/deit-small_96px.py",
    "../_base_/datasets/imagenette.py",
    "../_base_/schedules/deit_imagenette.py",
    "../_base_/staged_runtime.py",
]
protocol = dict(method="scratch", family="deit", reference_epochs=100, train_samples=9469)
stages = [dict(members=1, width=1, epochs=100)]
