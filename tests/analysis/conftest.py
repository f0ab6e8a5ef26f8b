"""Makes the modules of this folder and of ``coco`` importable by the tests."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path += [str(HERE), str(HERE / "coco")]
