# COCO 2017 without masks, otherwise as coco_instance.py.
_base_ = "mmdet::_base_/datasets/coco_detection.py"
