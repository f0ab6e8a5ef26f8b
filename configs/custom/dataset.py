"""A data set of your own in COCO's format: the one file to edit. The recipes beside it follow it.

Look at the data before training: images and boxes of every class, missing files, wrong boxes.

    python tools/misc/check_data.py configs/custom/dataset.py

Without masks take the retinanet_* recipes; they and the check then read dataset_boxes.py.
"""

_base_ = "../_base_/datasets/coco_lsj_640.py"

data_root = "data/custom"
# In the order of the file's categories, as
# `python tools/misc/check_data.py data/custom/annotations/train.json` prints them.
classes = ("cat", "dog", "bird")
# Pixels, the side of a square: images are scaled into it, in training to 0.1 to 2 times that and
# cropped. A DeiT's are padded to it: a multiple of its patch size, 16 here.
image_size = 640
train_file, train_images = "annotations/train.json", "train/"
val_file, val_images = "annotations/val.json", "val/"
# What tools/test.py scores. A split that no decision rests on is better, where there is one.
test_file, test_images = val_file, val_images

# From here on nothing has to be edited.
num_classes = len(classes)
metainfo = dict(classes=classes)
square = (image_size, image_size)
train_pipeline = [
    *_base_.train_pipeline[:3],
    dict(_base_.train_pipeline[3], scale=square),
    dict(_base_.train_pipeline[4], crop_size=square),
    *_base_.train_pipeline[5:],
]
test_pipeline = [
    _base_.test_pipeline[0],
    dict(_base_.test_pipeline[1], scale=square),
    *_base_.test_pipeline[2:],
]
train_dataloader = dict(
    batch_size=8,
    dataset=dict(
        data_root=data_root,
        metainfo=metainfo,
        ann_file=train_file,
        data_prefix=dict(img=train_images),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        metainfo=metainfo,
        ann_file=val_file,
        data_prefix=dict(img=val_images),
        pipeline=test_pipeline,
    )
)
test_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        metainfo=metainfo,
        ann_file=test_file,
        data_prefix=dict(img=test_images),
        pipeline=test_pipeline,
    )
)
# An absolute val_file or test_file stays as it is, here as in the loaders.
val_evaluator = dict(ann_file=val_file if val_file[0] == "/" else f"{data_root}/{val_file}")
test_evaluator = dict(ann_file=test_file if test_file[0] == "/" else f"{data_root}/{test_file}")
