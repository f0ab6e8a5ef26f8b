# ResNet-18 at an eighth of its width, for 32 px digits.
model = dict(
    type="ImageClassifier",
    backbone=dict(type="ResNet", depth=18, base_channels=8, stem_channels=8, out_indices=(3,)),
    neck=dict(type="GlobalAveragePooling"),
    head=dict(
        type="LinearClsHead",
        num_classes=10,
        in_channels=64,
        loss=dict(type="LabelSmoothLoss", label_smooth_val=0.1, mode="original"),
    ),
)
