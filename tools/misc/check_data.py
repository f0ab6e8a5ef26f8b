"""Count images and boxes of every class of a data set, and look for what is wrong with it.

    python tools/misc/check_data.py configs/rbdc/deit-micro_2step_digits.py
    python tools/misc/check_data.py configs/custom/dataset.py
    python tools/misc/check_data.py train.json val.json --images images/train images/val

The exit code is 1 where something has to be mended.
"""

from mmrbdc.cli import run_cli
from mmrbdc.commands.check_data import main

if __name__ == "__main__":
    run_cli(main)
