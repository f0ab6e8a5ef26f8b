# The persons of COCO 2017 with masks at 192 px, for CPUs. Standard scale jitter, resized to 0.8 to 1.25
# times 192 px, since objects are small already, and a crop of at most 192 x 192; otherwise as
# coco_lsj.py: model.data_preprocessor.pad_size_divisor=192. Training images without a person are left
# out, as everywhere in MMDetection.
_base_ = "./coco_lsj.py"
image_size = (192, 192)
train_pipeline = [
    *_base_.train_pipeline[:3],
    dict(_base_.train_pipeline[3], scale=image_size, ratio_range=(0.8, 1.25)),
    dict(_base_.train_pipeline[4], crop_size=image_size),
    *_base_.train_pipeline[5:],
]
test_pipeline = [
    _base_.test_pipeline[0],
    dict(_base_.test_pipeline[1], scale=image_size),
    *_base_.test_pipeline[2:],
]
metainfo = dict(classes=("person",))
train_dataloader = dict(batch_size=4, dataset=dict(metainfo=metainfo, pipeline=train_pipeline))
val_dataloader = dict(batch_size=4, dataset=dict(metainfo=metainfo, pipeline=test_pipeline))
test_dataloader = val_dataloader
