"""Train a config: a staged protocol of mmrbdc, or any run of MMPretrain's or MMDetection's kind.

python tools/train.py configs/rbdc/deit-micro_2step_digits.py
python tools/train.py configs/rbdc/deit-micro_2step_digits.py --resume
python tools/train.py configs/rbdc/deit-b_2step_in1k.py --stage 0 --member 2
python tools/train.py configs/mask-rcnn_rbdc-r50_coco.py --cfg-options train_dataloader.batch_size=4
"""

from mmrbdc.cli import run_cli
from mmrbdc.commands.train import main

if __name__ == "__main__":
    run_cli(main)
