"""Convert a checkpoint between MMPretrain, timm, torchvision and Hugging Face, head included.

    mmrbdc convert deit_small_patch16_224.pth deit-s.pth --to mmpretrain
    mmrbdc convert deit-b.pth model.safetensors --to huggingface

DeiT, plain ViT and ResNet. What IN is, is found out by its names and shapes; it may be an official
DeiT file as well. To and back gives the same bits. None of the libraries need be installed.
"""

from collections.abc import Sequence
from pathlib import Path

from mmrbdc.commands.arguments import CommandParser, check_writable

# Written out, since their tables import torch, and --help should not; a test compares.
LIBRARIES = ("mmpretrain", "timm", "torchvision", "huggingface")


def main(argv: Sequence[str] | None = None) -> None:
    """Read, write, report."""
    parser = CommandParser("convert", __doc__)
    parser.add_argument("source", metavar="IN", help=".pth, .bin or .safetensors file")
    parser.add_argument("target", metavar="OUT", help="new .pth, .bin or .safetensors file")
    parser.add_argument("--to", required=True, choices=LIBRARIES, help="whose names OUT gets")
    parser.add_argument(
        "--from",
        dest="written_by",
        choices=LIBRARIES,
        help="refuse IN if its names are not this library's (found out by default)",
    )
    parser.add_argument(
        "--weights", choices=("raw", "ema"), help="which weights to take from a file with both"
    )
    parser.add_argument(
        "--prefix", help="what stands in front of the backbone's names, if it is not found"
    )
    args = parser.parse_args(argv)
    check_writable("OUT", Path(args.target).parent)
    from mmrbdc.weights.libraries import convert_file

    done = convert_file(
        args.source,
        args.target,
        args.to,
        written_by=args.written_by,
        weights=args.weights,
        prefix=args.prefix,
    )
    print("\n".join(done.lines()))
