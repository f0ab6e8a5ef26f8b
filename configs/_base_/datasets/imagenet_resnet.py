# ImageNet-1k at 224 px as in recipe A2 of "ResNet strikes back" (arXiv 2110.00476), which is
# MMPretrain's resnet50_8xb256-rsb-a2-300e_in1k (79.55 % top-1 with ResNet-50): bicubic random resized
# crop, flip, RandAugment rand-m7-mstd0.5-inc1, three repeats of every image, incomplete batches
# dropped; for evaluation the short side to 236, centre 224. Mixup 0.1, CutMix 1.0, the sigmoid loss
# and drop-path 0.05 belong to the model, LAMB at 5e-3 to the schedule. 256 images per GPU make the
# recipe's batch of 2,048 on 8 GPUs. Layout and keys as in imagenet_deit.py.
_base_ = "./imagenet_deit.py"
bgr_mean = [103.53, 116.28, 123.675]

train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="mmrbdc.RandomResizedCrop", scale=224, backend="torch", interpolation="bicubic"),
    dict(type="RandomFlip", prob=0.5, direction="horizontal"),
    dict(
        type="RandAugment",
        policies="timm_increasing",
        num_policies=2,
        total_level=10,
        magnitude_level=7,
        magnitude_std=0.5,
        hparams=dict(pad_val=[round(x) for x in bgr_mean], interpolation="bicubic"),
    ),
    dict(type="PackInputs"),
]
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="ResizeEdge", scale=236, edge="short", backend="pillow", interpolation="bicubic"),
    dict(type="CenterCrop", crop_size=224),
    dict(type="PackInputs"),
]

train_dataloader = dict(batch_size=256, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(batch_size=256, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
