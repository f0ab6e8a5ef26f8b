# ResNet-18 at a quarter of its width, for 32 px digits.
model = dict(
    type="ImageClassifier",
    backbone=dict(type="ResNet", depth=18, base_channels=16, stem_channels=16, out_indices=(3,)),
    neck=dict(type="GlobalAveragePooling"),
    head=dict(
        type="LinearClsHead",
        num_classes=10,
        in_channels=128,
        loss=dict(type="LabelSmoothLoss", label_smooth_val=0.1, mode="original"),
    ),
)
