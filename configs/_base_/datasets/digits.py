# scikit-learn's handwritten digits, 32 px RGB, made by `python tools/make_demo_data.py`: 1,000 train,
# 300 val, 497 test. No tuning looks at the test digits. For default_scope='mmpretrain'.
dataset_type = "CustomDataset"
data_root = "data/digits"
data_preprocessor = dict(
    num_classes=10,
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    to_rgb=True,
    to_onehot=True,  # else the loss asks the GPU for the largest label
)

# No flip: a mirrored digit is another one, or none. Black is what lies around a digit.
train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(
        type="Rotate",
        magnitude_range=(0.0, 10.0),
        magnitude_level=10,
        magnitude_std="inf",
        prob=1.0,
        pad_val=0,
        interpolation="bilinear",
    ),
    dict(
        type="RandomResizedCrop",
        scale=32,
        crop_ratio_range=(0.8, 1.0),
        aspect_ratio_range=(0.9, 1.1),
    ),
    dict(type="PackInputs"),
]
test_pipeline = [dict(type="LoadImageFromFile"), dict(type="PackInputs")]

train_dataloader = dict(
    batch_size=64,
    num_workers=2,
    persistent_workers=True,
    dataset=dict(
        type=dataset_type, data_root=data_root, data_prefix="train", pipeline=train_pipeline
    ),
    sampler=dict(type="DefaultSampler", shuffle=True),
)
val_dataloader = dict(
    batch_size=64,
    num_workers=2,
    persistent_workers=True,
    dataset=dict(type=dataset_type, data_root=data_root, data_prefix="val", pipeline=test_pipeline),
    sampler=dict(type="DefaultSampler", shuffle=False),
)
test_dataloader = dict(
    batch_size=64,
    num_workers=2,
    persistent_workers=True,
    dataset=dict(
        type=dataset_type, data_root=data_root, data_prefix="test", pipeline=test_pipeline
    ),
    sampler=dict(type="DefaultSampler", shuffle=False),
)
val_evaluator = dict(type="Accuracy", topk=(1,))
test_evaluator = val_evaluator
