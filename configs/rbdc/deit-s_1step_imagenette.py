"""DeiT-S on Imagenette at 96 px by RBDC: 2 x DeiT-T -> 1 x DeiT-S.

As many training FLOPs as configs/baselines/deit-s_scratch_imagenette.py, all three models counted,
narrow over wide epochs 1.5. There is no recipe of two steps: a quarter of DeiT-S's six heads is no
whole number of heads.

Data: data/imagenette, see configs/_base_/datasets/imagenette.py.
Expected: not run yet.
Hardware: planned for 1 GPU, batch 128; time not measured yet.

    python tools/train.py configs/rbdc/deit-s_1step_imagenette.py --amp
"""

_base_ = [
    "../_base_/models/deit-small_96px.py",
    "../_base_/datasets/imagenette.py",
    "../_base_/schedules/deit_imagenette.py",
    "../_base_/staged_runtime.py",
]
protocol = dict(method="rbdc", family="deit", reference_epochs=100, train_samples=9469)
stages = [
    dict(members=2, width="1/2", epochs=83.48),
    dict(members=1, width=1, epochs=55.66),
]
