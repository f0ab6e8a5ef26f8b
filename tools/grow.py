"""Couple checkpoint files of narrow models into one wide model, block-diagonally.

python tools/grow.py --config mmpretrain::deit/deit-base_16xb64_in1k.py \
    --parents small0.pth small1.pth --out base.pth
"""

from mmrbdc.cli import run_cli
from mmrbdc.commands.grow import main

if __name__ == "__main__":
    run_cli(main)
