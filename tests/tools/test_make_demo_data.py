"""``tools/make_demo_data.py``: three folders, what was made in words, and readable refusals."""

import subprocess
import sys
from pathlib import Path

TOOL = Path(__file__).parents[2] / "tools" / "make_demo_data.py"
TINY = ["--digits", "20", "10", "10", "--small-train", "10", "--scenes", "2", "1", "1"]


def call(*options):
    """Run the tool as a user would."""
    return subprocess.run(
        [sys.executable, TOOL, *map(str, options)], capture_output=True, text=True, check=False
    )


def test_makes_the_three_sets_once(tmp_path):
    first = call("--out", tmp_path, *TINY)
    assert first.returncode == 0, first.stderr
    assert [line.split(", made in")[0] for line in first.stdout.splitlines()] == [
        f"{tmp_path}/digits: 20 train, 10 val, 10 test digits",
        f"{tmp_path}/digits_small: 10 train, 10 val, 10 test digits",
        f"{tmp_path}/digit_scenes: 2 train, 1 val, 1 test scenes",
    ]
    assert len(list(tmp_path.rglob("*.png"))) == 40 + 30 + 4
    assert call("--out", tmp_path, *TINY).stdout.count("already there") == 3


def test_foreign_folder_ends_with_one_line(tmp_path):
    (tmp_path / "digits").mkdir()
    (tmp_path / "digits" / "mine.txt").touch()
    result = call("--out", tmp_path, *TINY)
    assert result.returncode == 2
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert (tmp_path / "digits" / "mine.txt").exists()
