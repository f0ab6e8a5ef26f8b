"""Mask R-CNN on the persons of COCO from a mini DeiT with random weights, at 192 px, on a CPU.

The lower bound of the rows beside it, which differ in the backbone's weights only:
mask-rcnn_deit-mini-rbdc-pre_sfp_1xb4-ssj-24e_coco-person-192px.py and
mask-rcnn_deit-mini-scratch-pre_sfp_1xb4-ssj-24e_coco-person-192px.py. For trying the path and
comparing starts on a part of COCO, put in COCO's layout, with COCO's file names, under data/coco.

Recipe: that of mask-rcnn_deit-b-random_sfp_8xb2-lsj-36e_coco-640px.py, smaller in everything.

Expected: 0.7 ± 0.3 box and 0.2 ± 0.1 mask AP (times 100) on 72 training images, seeds 0 to 2; see
docs/results/README.md.
Hardware: one CPU core, about 17 s an epoch of 72 images.

    python tools/train.py configs/detection/mask-rcnn_deit-mini-random_sfp_1xb4-ssj-24e_coco-person-192px.py
"""

_base_ = [
    "../_base_/models/mask-rcnn_deit-mini.py",
    "../_base_/datasets/coco_person_192.py",
    "../_base_/schedules/vitdet_24e_coco.py",
    "../_base_/detector_runtime.py",
]
