"""The data set of dataset.py without masks, for the retinanet_* recipes. Nothing to edit here.

The same check as there:

    python tools/misc/check_data.py configs/custom/dataset_boxes.py
"""

_base_ = "./dataset.py"
annotations = dict(type="LoadAnnotations", with_bbox=True)
train_pipeline = [_base_.train_pipeline[0], annotations, *_base_.train_pipeline[2:]]
test_pipeline = [*_base_.test_pipeline[:2], annotations, *_base_.test_pipeline[3:]]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
val_evaluator = dict(metric="bbox")
test_evaluator = dict(metric="bbox")
