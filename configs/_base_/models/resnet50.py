# ResNet-50 (25.6 M parameters, 8.2 GFLOPs = 4.1 G multiply-adds at 224 px) as recipe A2 of "ResNet
# strikes back" trains it: sigmoid loss on mixed targets, mixup 0.1, CutMix 1.0, drop-path 0.05.
# BatchNorm is per process with its statistics averaged after every epoch, not synchronised in forward.
model = dict(
    type="ImageClassifier",
    backbone=dict(
        type="ResNet",
        depth=50,
        num_stages=4,
        out_indices=(3,),
        style="pytorch",
        base_channels=64,
        stem_channels=64,
        drop_path_rate=0.05,
    ),
    neck=dict(type="GlobalAveragePooling"),
    head=dict(
        type="LinearClsHead",
        num_classes=1000,
        in_channels=2048,
        loss=dict(type="CrossEntropyLoss", loss_weight=1.0, use_sigmoid=True),
        topk=(1, 5),
    ),
    train_cfg=dict(augments=[dict(type="Mixup", alpha=0.1), dict(type="CutMix", alpha=1.0)]),
)
