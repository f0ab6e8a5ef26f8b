"""Run a study: growth methods on one recipe at equal FLOPs, over seeds, then their ranking.

    python tools/study.py configs/studies/digits_deit.py --jobs 2

Every run is a staged run in a work dir of its own. A run that fails is named and stops no other;
the same command with --resume goes on. Ends with a table, study.html and one csv of all numbers.
"""

from mmrbdc.cli import run_cli
from mmrbdc.commands.study import main

if __name__ == "__main__":
    run_cli(main)
