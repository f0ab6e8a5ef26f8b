"""Which configs the mistakes are made in, and what a run that starts may leave."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs"
NAME = "deit-micro_2step_digits"
STAGED = CONFIGS / "rbdc" / f"{NAME}.py"
RANDOM = CONFIGS / "mask-rcnn_random-deit-micro_scenes.py"
DETECTOR = CONFIGS / "mask-rcnn_rbdc-deit-micro_scenes.py"

LOGS = ("", ".log", ".py", ".txt")
"""What a run that fails as it starts may leave: folders, its log, its config."""
