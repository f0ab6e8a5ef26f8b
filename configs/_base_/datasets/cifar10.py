# CIFAR-10 as a folder of 32 px images: random crop with 4 px of padding, flip; no resizing anywhere.
#
# Layout: data/cifar10/{train,test}/CLASS/IMAGE, 5,000 and 1,000 images in each of 10 class folders.
# https://www.cs.toronto.edu/~kriz/cifar.html has the data as Python pickles; collections of the same
# images as PNG or JPEG in this layout are found under the name "CIFAR-10 images". Accuracies on JPEGs,
# which lose detail, compare with each other only. For another place set
# {train,val,test}_dataloader.dataset.data_root.
#
# CIFAR-10 has no validation split of its own: curves, junctions and results are all of the published
# test images, and so nothing may be chosen by them. To choose anything, hold out a part of train in a
# folder of its own and set {val,test}_dataloader.dataset.data_root and data_prefix to it.
# For default_scope='mmpretrain'.
dataset_type = "CustomDataset"
data_root = "data/cifar10"
data_preprocessor = dict(
    num_classes=10,
    mean=[125.307, 122.961, 113.8575],
    std=[51.5865, 50.847, 51.255],
    to_rgb=True,
    to_onehot=True,  # else the loss asks the GPU for the largest label
)

train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="RandomCrop", crop_size=32, padding=4),
    dict(type="RandomFlip", prob=0.5, direction="horizontal"),
    dict(type="PackInputs"),
]
test_pipeline = [dict(type="LoadImageFromFile"), dict(type="PackInputs")]

train_dataloader = dict(
    batch_size=64,
    num_workers=1,
    persistent_workers=True,
    dataset=dict(
        type=dataset_type, data_root=data_root, data_prefix="train", pipeline=train_pipeline
    ),
    sampler=dict(type="DefaultSampler", shuffle=True),
)
val_dataloader = dict(
    batch_size=100,
    num_workers=1,
    persistent_workers=True,
    dataset=dict(
        type=dataset_type, data_root=data_root, data_prefix="test", pipeline=test_pipeline
    ),
    sampler=dict(type="DefaultSampler", shuffle=False),
)
val_evaluator = dict(type="Accuracy", topk=(1,))
test_dataloader = val_dataloader
test_evaluator = val_evaluator
