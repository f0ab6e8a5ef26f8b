"""Which training system to take when: whole systems at equal FLOPs, a mini DeiT on CIFAR-10.

Four times the FLOPs of cifar10_deit.py. RBDC with two steps, its narrow stages seeing 32 px or 24
px; Deep Incubation of two modules; AutoProg with two searches, and without; one model whose images
grow (16, 24, 32 px); from scratch. Everything is charged: meta model, searches, judging. Half the
width from scratch, which sees more images for the same FLOPs: cifar10_systems_half-width.py.

Data: data/cifar10, see configs/_base_/datasets/cifar10.py. Curves and junctions are of every fifth
test image, final accuracies of all 10,000.
Expected: RBDC with 24 px 49.1 ± 0.4, AutoProg without searches 45.5 ± 0.5, RBDC 44.5 ± 1.0,
progressive 43.6 ± 0.7, AutoProg 40.3 ± 1.0, scratch 38.6 ± 0.6, Deep Incubation 36.6 ± 0.3 %
(docs/results/README.md, with what it means).
Hardware: 2 CPU cores, about two hours.

    python tools/study.py configs/studies/cifar10_systems.py --jobs 2
"""

_base_ = "./cifar10_deit.py"
searching = dict(progression=dict(_base_.grid, search_epochs=0.1, batches=4))
narrow_24px = [dict(members=n, width=f"1/{n}", img_size=24) for n in (4, 2)]
study = dict(
    options={"protocol.reference_epochs": 1.6},
    methods={
        "_delete_": True,
        "scratch": {},
        "rbdc": dict(stages=_base_.coupled),
        "rbdc-24px": dict(method="rbdc", stages=[*narrow_24px, (1, 1)]),
        "deep-incubation": dict(stages=_base_.incubated, ratio=[3, 1, 1]),
        "autoprog": dict(protocol=searching),
        "autoprog-manual": dict(protocol=dict(progression=_base_.grid)),
        "progressive": dict(stages=_base_.growing_images),
    },
)
