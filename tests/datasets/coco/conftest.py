"""Small COCO files, whole or with one thing changed."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))  # for small_coco.py
