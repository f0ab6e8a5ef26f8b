"""Make the data sets of the demo from scikit-learn's handwritten digits; nothing is downloaded.

``digits`` and ``digits_small`` (fewer training digits) are ImageFolders for classification,
``digit_scenes`` has instance masks in COCO's format. What is there and current is left as it is.

    python tools/make_demo_data.py
"""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from mmrbdc.cli import run_cli
from mmrbdc.commands.arguments import CommandParser

# Those of mmrbdc.datasets; written out, since that imports torch, and --help should not.
DIGITS = (1000, 300, 497)
SMALL_TRAIN = 200
SCENES = (400, 100, 200)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse ``argv``, make the three folders and say what was made."""
    parser = CommandParser(None, __doc__)
    three = partial(parser.add_argument, nargs=3, type=int, metavar=("TRAIN", "VAL", "TEST"))
    parser.add_argument("--out", type=Path, default=Path("data"), help="folder (default: data)")
    three("--digits", default=DIGITS, help="digits, at most {} {} {}".format(*DIGITS))
    parser.add_argument(
        "--small-train",
        type=int,
        default=SMALL_TRAIN,
        metavar="N",
        help="training digits of digits_small (default: %(default)s)",
    )
    three("--scenes", default=SCENES, help="scenes (default: {} {} {})".format(*SCENES))
    parser.add_argument("--force", action="store_true", help="make again what is current")
    args = parser.parse_args(argv)
    from mmrbdc.datasets.made.digits import POOLS, check_counts, make_digits
    from mmrbdc.datasets.made.scenes import COUNTS, make_scenes

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
