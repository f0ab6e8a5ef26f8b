"""Width growth of a mini DeiT at equal FLOPs, on CIFAR-10.

The study of digits_deit.py on photographs, 0.6 epochs from scratch being the reference: early in
training, far from convergence.

Data: data/cifar10, see configs/_base_/datasets/cifar10.py.
Expected: not run yet.
Hardware: 2 CPU cores; time not measured yet.

    python tools/study.py configs/studies/cifar10_deit.py --jobs 2
"""

_base_ = "./digits_deit.py"
study = dict(
    recipe="configs/baselines/deit-mini_scratch_cifar10.py",
    options={"_delete_": True, "protocol.reference_epochs": 0.6},
    seeds=[0, 1, 2],
)
