"""Count images and boxes of every class of a COCO-format data set, and look for what is wrong.

    python tools/misc/check_coco_dataset.py configs/custom/dataset.py
    python tools/misc/check_coco_dataset.py configs/mask-rcnn_rbdc-r50_coco.py
    python tools/misc/check_coco_dataset.py train.json val.json --images images/train images/val
    python tools/misc/check_coco_dataset.py train.json --renumber train-from-1.json

Give a config that has loaders, or annotation files; these also print the config's line `classes`.
The exit code is 1 where something has to be mended.
"""

from mmrbdc.cli import run_cli
from mmrbdc.commands.check_data import main

if __name__ == "__main__":
    run_cli(main)
