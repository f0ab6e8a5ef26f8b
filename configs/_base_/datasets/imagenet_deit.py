# ImageNet-1k at 224 px with DeiT's official augmentation (facebookresearch/deit, main.py defaults):
# bicubic random resized crop, flip, RandAugment rand-m9-mstd0.5-inc1, random erasing 0.25 in pixel
# mode, three repeats of every image, incomplete batches dropped; for evaluation the short side to
# 256, centre 224. Mixup 0.8, CutMix 1.0 and label smoothing 0.1 belong to the model.
# Crops are resized by torch, within 2 of 255 of Pillow and in a quarter of its time; backend="pillow"
# is the official way, and dct_scaling=True loads stages of smaller images faster still.
# The official code repeats images only when it runs distributed; here it does always.
# 128 images per GPU make the official batch of 1,024 on 8 GPUs. For default_scope='mmpretrain'.
#
# Layout: data/imagenet/{train,val}/CLASS/IMAGE. For another place and other classes set
# {train,val,test}_dataloader.dataset.data_root, data_preprocessor.num_classes and
# model.head.num_classes. For a flat folder with a list, set ann_file (meta/val.txt) as well.
dataset_type = "CustomDataset"
data_root = "data/imagenet"
data_preprocessor = dict(
    num_classes=1000,
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    to_rgb=True,
)
bgr_mean = data_preprocessor["mean"][::-1]
bgr_std = data_preprocessor["std"][::-1]

train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="mmrbdc.RandomResizedCrop", scale=224, backend="torch", interpolation="bicubic"),
    dict(type="RandomFlip", prob=0.5, direction="horizontal"),
    dict(
        type="RandAugment",
        policies="timm_increasing",
        num_policies=2,
        total_level=10,
        magnitude_level=9,
        magnitude_std=0.5,
        hparams=dict(pad_val=[round(x) for x in bgr_mean], interpolation="bicubic"),
    ),
    dict(
        type="RandomErasing",
        erase_prob=0.25,
        mode="rand",
        min_area_ratio=0.02,
        max_area_ratio=1 / 3,
        fill_color=bgr_mean,
        fill_std=bgr_std,
    ),
    dict(type="PackInputs"),
]
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="ResizeEdge", scale=256, edge="short", backend="pillow", interpolation="bicubic"),
    dict(type="CenterCrop", crop_size=224),
    dict(type="PackInputs"),
]

train_dataloader = dict(
    batch_size=128,
    num_workers=8,
    persistent_workers=True,
    drop_last=True,
    dataset=dict(
        type=dataset_type, data_root=data_root, data_prefix="train", pipeline=train_pipeline
    ),
    sampler=dict(type="RepeatAugSampler", shuffle=True, num_repeats=3),
)
val_dataloader = dict(
    batch_size=128,
    num_workers=8,
    persistent_workers=True,
    dataset=dict(type=dataset_type, data_root=data_root, data_prefix="val", pipeline=test_pipeline),
    sampler=dict(type="DefaultSampler", shuffle=False),
)
val_evaluator = dict(type="Accuracy", topk=(1, 5))
# ImageNet's test set has no public labels: results are reported on val, as everywhere.
test_dataloader = val_dataloader
test_evaluator = val_evaluator
