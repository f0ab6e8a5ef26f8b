"""Mask R-CNN on scenes of handwritten digits from a micro DeiT with random weights.

The lower bound of mask-rcnn_rbdc-deit-micro_scenes.py and
mask-rcnn_scratch-deit-micro_scenes.py, which differ in the backbone's weights only.
128 px, batch 8, AdamW.

Data: data/digit_scenes, made by `python tools/make_demo_data.py`.
Expected: box AP 37.4 ± 2.1, mask AP 34.5 ± 2.0 on the test scenes
(seeds 0 to 4, docs/results/README.md).
Hardware: 2 CPU cores.

    python tools/train.py configs/mask-rcnn_random-deit-micro_scenes.py
"""

_base_ = [
    "./_base_/models/mask-rcnn_deit-micro.py",
    "./_base_/datasets/digit-scenes.py",
    "./_base_/schedules/mask-rcnn-micro.py",
    "./_base_/detector_runtime.py",
]
