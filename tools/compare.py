"""Compare finished runs, or prediction files, in tables, and with --out in a report.

    python tools/compare.py work_dirs/demo --out work_dirs/demo
    python tools/compare.py --annotations instances_val2017.json \\
        --predictions rbdc=a.bbox.json rbdc=a.segm.json scratch=b.bbox.json scratch=b.segm.json

A pretraining and the detectors fine-tuned from its checkpoint become one row each; several seeds
of a method become one line with mean and spread. Runs that differ in their learning rate alone are
one row's grid: the best by validation AP is shown, the grid below it. Every two methods are
compared by AP paired by seed, and by a paired bootstrap over the test images. AP counts as many
detections an image and class as the tests did (100 unless they say otherwise), or --max-dets.
"""

from mmrbdc.cli import run_cli
from mmrbdc.commands.compare import main

if __name__ == "__main__":
    run_cli(main)
