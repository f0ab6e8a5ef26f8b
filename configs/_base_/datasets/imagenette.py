# Imagenette (10 ImageNet classes; 9,469 training and 3,925 validation images) at 96 px, augmented as
# DeiT augments ImageNet but without erasing and repeats: random resized crop, flip, RandAugment.
#
# Layout: data/imagenette/{train,val}/CLASS/IMAGE, as https://github.com/fastai/imagenette packs it
# (imagenette2-160.tgz suffices). For another place set {train,val,test}_dataloader.dataset.data_root.
# Results are of val, as on ImageNet; nothing may be chosen by them. For default_scope='mmpretrain'.
_base_ = "./imagenet_deit.py"
dataset_type = "CustomDataset"
data_root = "data/imagenette"
data_preprocessor = dict(num_classes=10)

train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="RandomResizedCrop", scale=96, backend="pillow", interpolation="bicubic"),
    dict(type="RandomFlip", prob=0.5, direction="horizontal"),
    dict(
        type="RandAugment",
        policies="timm_increasing",
        num_policies=2,
        total_level=10,
        magnitude_level=9,
        magnitude_std=0.5,
        hparams=dict(pad_val=[104, 116, 124], interpolation="bicubic"),
    ),
    dict(type="PackInputs"),
]
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="ResizeEdge", scale=96, edge="short", backend="pillow", interpolation="bicubic"),
    dict(type="CenterCrop", crop_size=96),
    dict(type="PackInputs"),
]

train_dataloader = dict(
    batch_size=128,
    num_workers=8,
    dataset=dict(data_root=data_root, pipeline=train_pipeline),
    sampler=dict(_delete_=True, type="DefaultSampler", shuffle=True),
)
val_dataloader = dict(
    batch_size=128,
    num_workers=4,
    dataset=dict(data_root=data_root, pipeline=test_pipeline),
)
val_evaluator = dict(_delete_=True, type="Accuracy", topk=(1,))
test_dataloader = val_dataloader
test_evaluator = val_evaluator
