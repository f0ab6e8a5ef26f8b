"""The command ``mmrbdc``, and ``python -m mmrbdc``: one word for each of the tools."""

import sys
from collections.abc import Sequence
from functools import partial
from importlib import import_module

from mmrbdc import __version__
from mmrbdc.cli import run_cli
from mmrbdc.wording import did_you_mean

COMMANDS = {
    "train": "mmrbdc.commands.train",
    "test": "mmrbdc.commands.test",
    "plan": "mmrbdc.commands.plan",
    "grow": "mmrbdc.commands.grow",
    "compare": "mmrbdc.commands.compare",
    "study": "mmrbdc.commands.study",
    "convert": "mmrbdc.commands.convert",
    "publish": "mmrbdc.commands.publish",
    "check-data": "mmrbdc.commands.check_data",
    "check-env": "mmrbdc.check_env",
}


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command that the first word names; exit with code 2 where it names none."""
    words = list(sys.argv[1:] if argv is None else argv)
    name = words[0] if words else ""
    if name in COMMANDS:
        run_cli(partial(import_module(COMMANDS[name]).main, words[1:]))
    elif name in ("-h", "--help"):
        print(overview())
    elif name == "--version":
        print(f"mmrbdc {__version__}")
    elif not name:
        print(overview(), file=sys.stderr)
        sys.exit(2)
    else:
        hint = did_you_mean(name, COMMANDS, f"there is {', '.join(COMMANDS)}", by=str)
        print(f"error: mmrbdc has no command {name!r}; {hint}", file=sys.stderr)
        sys.exit(2)


def overview() -> str:
    """All commands, each with its first line."""
    lines = ["usage: mmrbdc COMMAND ...", "", "Recursive Block-Diagonal Coupling.", ""]
    for name, module in COMMANDS.items():
        about = (import_module(module).__doc__ or "").partition("\n")[0]
        lines.append(f"  {name:<11} {about}")
    return "\n".join([*lines, "", "mmrbdc COMMAND --help says more."])


if __name__ == "__main__":
    main()
