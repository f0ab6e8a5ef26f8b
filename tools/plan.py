"""Price a staged protocol before anything runs, or solve for the lengths that fit a budget.

python tools/plan.py configs/rbdc/deit-b_2step_in1k.py
python tools/plan.py configs/rbdc/deit-b_2step_in1k.py --budget 0.7 --ratio 1.5
"""

from mmrbdc.cli import run_cli
from mmrbdc.commands.plan import main

if __name__ == "__main__":
    run_cli(main)
