"""Make the data sets of the demo from scikit-learn's handwritten digits; nothing is downloaded.

``digits`` and ``digits_small`` (fewer training digits) are ImageFolders for classification,
``digit_scenes`` has instance masks in COCO's format. What is there and current is left as it is.

    python tools/make_demo_data.py
"""

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from mmrbdc.cli import run_cli
from mmrbdc.datasets.digits import POOLS, SMALL_TRAIN, check_counts, make_digits
from mmrbdc.datasets.scenes import COUNTS, make_scenes


def main(argv: Sequence[str] | None = None) -> None:
    """Parse ``argv``, make the three folders and say what was made."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    three = partial(parser.add_argument, nargs=3, type=int, metavar=("TRAIN", "VAL", "TEST"))
    parser.add_argument("--out", type=Path, default=Path("data"), help="folder (default: data)")
    three("--digits", default=list(POOLS.values()), help="digits, at most %(default)s")
    parser.add_argument(
        "--small-train",
        type=int,
        default=SMALL_TRAIN,
        metavar="N",
        help="training digits of digits_small (default: %(default)s)",
    )
    three("--scenes", default=list(COUNTS.values()), help="scenes (default: %(default)s)")
    parser.add_argument("--force", action="store_true", help="make again what is current")
    args = parser.parse_args(argv)

    digits = dict(zip(POOLS, args.digits, strict=True))
    small = {**digits, "train": args.small_train}
    scenes = dict(zip(COUNTS, args.scenes, strict=True))
    for counts, limits in ((digits, POOLS), (small, POOLS), (scenes, dict.fromkeys(COUNTS))):
        check_counts(counts, limits)  # all before the first folder is made
    _make(args.out / "digits", make_digits, digits, "digits", args.force)
    _make(args.out / "digits_small", make_digits, small, "digits", args.force)
    _make(args.out / "digit_scenes", make_scenes, scenes, "scenes", args.force)


def _make(
    root: Path,
    make: Callable[..., bool],
    counts: Mapping[str, int],
    unit: str,
    force: bool,
) -> None:
    start = time.perf_counter()
    made = make(root, counts=counts, force=force)
    seconds = time.perf_counter() - start
    numbers = ", ".join(f"{count} {split}" for split, count in counts.items())
    state = f"made in {seconds:.1f} s" if made else "already there"
    print(f"{root}: {numbers} {unit}, {state}", flush=True)


if __name__ == "__main__":
    run_cli(main)
