"""Width growth of a mini ResNet-50 at equal FLOPs, on CIFAR-10.

The study of cifar10_deit.py with a ResNet of bottlenecks (base width 16), without Deep Incubation,
whose blocks must be all alike. The rows of AutoProg and progressive were run in
cifar10_resnet_progressive.py, with rows of their own to compare with.

Data: data/cifar10, see configs/_base_/datasets/cifar10.py.
Expected: self-coupling 45.3 ± 1.2, RBDC 44.5 ± 1.2, scratch 37.8 ± 0.6 % (docs/results/README.md).
Hardware: 2 CPU cores, 38 minutes.

    python tools/study.py configs/studies/cifar10_resnet.py --jobs 2
"""

_base_ = "./cifar10_deit.py"
depth_alone = ("deep-incubation", "autoprog-manual")
study = dict(
    recipe="configs/baselines/resnet-mini_scratch_cifar10.py",
    options={
        "model.backbone.depth": 50,
        "model.backbone.base_channels": 16,
        "model.backbone.stem_channels": 16,
        "model.head.in_channels": 512,
    },
    methods={
        "_delete_": True,
        **{k: v for k, v in _base_.study.methods.items() if k not in depth_alone},
    },
)
