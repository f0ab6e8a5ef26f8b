"""Makes the small COCO files of tests/datasets/coco importable."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "coco"))
