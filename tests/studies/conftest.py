"""Makes the made-up runs of tests/analysis importable."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "analysis"))
