"""Test a trained model on the config's test split and write the figures to <work dir>/test.json.

    python tools/test.py configs/rbdc/deit-micro_2step_digits.py
    python tools/test.py configs/mask-rcnn_rbdc-r50_coco.py my_detector.pth

A staged config tests its final model; a detector without a checkpoint argument tests the newest
checkpoint of its work dir, and leaves its predictions (predictions.bbox.json and .segm.json, COCO's
result format) and its throughput there too, for a comparison.
"""

from mmrbdc.cli import run_cli
from mmrbdc.commands.test import main

if __name__ == "__main__":
    run_cli(main)
