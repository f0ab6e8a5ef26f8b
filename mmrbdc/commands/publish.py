"""Publish the backbone of a checkpoint: NAME-HASH.pth, NAME-HASH.safetensors and NAME-HASH.json.

    mmrbdc publish work_dirs/deit-b_2step_in1k/deit-b_2step_in1k.pth --out published

HASH is the first 8 digits of the SHA-256 of the .pth. The side-car says family, width, parents,
training FLOPs, accuracy and versions, as far as the checkpoint knows them.
"""

from collections.abc import Sequence
from pathlib import Path

from mmrbdc.commands.arguments import CommandParser, check_writable

_SUFFIXES = (".pth", ".pt", ".safetensors", ".json")


def main(argv: Sequence[str] | None = None) -> None:
    """Read, write, report."""
    parser = CommandParser("publish", __doc__)
    parser.add_argument("checkpoint", metavar="FILE", help="a run's final file, or any other")
    parser.add_argument(
        "--out", default=".", metavar="DIR", help="folder for the files (default: here)"
    )
    parser.add_argument("--name", help="NAME (default: the one in the file, else the file's)")
    parser.add_argument(
        "--weights", choices=("raw", "ema"), help="which weights to take from a file with both"
    )
    parser.add_argument(
        "--prefix", help="what stands in front of the backbone's names, if it is not found"
    )
    args = parser.parse_args(argv)
    if Path(args.out).suffix in _SUFFIXES and not Path(args.out).is_dir():
        raise ValueError(
            f"--out {args.out} would be a folder, and is called like a file; name the folder that "
            f"the three files go into, and give their name with --name {Path(args.out).stem}"
        )
    check_writable("--out", args.out)
    from mmrbdc.weights.libraries import release_backbone

    release = release_backbone(
        args.checkpoint, args.out, name=args.name, weights=args.weights, prefix=args.prefix
    )
    print("\n".join(release.lines()))
