# COCO 2017 with masks as MMDetection reads it, 1333 x 800: data/coco/{train2017,val2017} and
# data/coco/annotations. For another place set {train,val,test}_dataloader.dataset.data_root and
# {val,test}_evaluator.ann_file.
_base_ = "mmdet::_base_/datasets/coco_instance.py"
