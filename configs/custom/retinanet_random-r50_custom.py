"""RetinaNet on a data set of your own from a ResNet-50 with random weights, boxes only.

The lower bound of retinanet_rbdc-r50_custom.py and retinanet_scratch-r50_custom.py, which differ
in the backbone's weights only. The data and the size of images: dataset.py;
length and learning rate: schedule.py. 8 images per step.

Expected: depends on the data.
Hardware: planned for one GPU; time not measured yet.

    python tools/train.py configs/custom/retinanet_random-r50_custom.py
"""

_base_ = [
    "../_base_/models/retinanet_r50.py",
    "./dataset_boxes.py",
    "./schedule.py",
    "../_base_/detector_runtime.py",
]
model = dict(bbox_head=dict(num_classes=_base_.num_classes))
