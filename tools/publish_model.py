"""Publish the backbone of a checkpoint: NAME-HASH.pth, NAME-HASH.safetensors and NAME-HASH.json.

    python tools/publish_model.py work_dirs/deit-b_2step_in1k/deit-b_2step_in1k.pth --out published

HASH is the first 8 digits of the SHA-256 of the .pth. The side-car says family, width, parents,
training FLOPs, accuracy, versions, mean and std and class names, as far as the checkpoint knows.
"""

from mmrbdc.cli import run_cli
from mmrbdc.commands.publish import main

if __name__ == "__main__":
    run_cli(main)
