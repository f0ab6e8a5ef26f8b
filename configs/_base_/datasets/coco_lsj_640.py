# COCO 2017 with masks under large-scale jitter around 640 px, in squares of 640; otherwise as
# coco_lsj.py: model.data_preprocessor.pad_size_divisor=640.
_base_ = "./coco_lsj.py"
image_size = (640, 640)
train_pipeline = [
    *_base_.train_pipeline[:3],
    dict(_base_.train_pipeline[3], scale=image_size),
    dict(_base_.train_pipeline[4], crop_size=image_size),
    *_base_.train_pipeline[5:],
]
test_pipeline = [
    _base_.test_pipeline[0],
    dict(_base_.test_pipeline[1], scale=image_size),
    *_base_.test_pipeline[2:],
]
train_dataloader = dict(batch_size=2, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
