"""The parser of all commands, and arguments that several share. Imports nothing heavy."""

import argparse
import os
import shlex
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from mmrbdc.typed_options import ConfigOptions
from mmrbdc.wording import closest


class CommandParser(argparse.ArgumentParser):
    """A parser that is called as the user called it, and suggests what a mistyped option meant."""

    def __init__(self, name: str | None, description: str | None, **keywords: Any):
        """Of a command.

        Args:
            name: the subcommand of ``mmrbdc``; ``None`` for a tool that is none.
            description: for ``--help``; where it says ``mmrbdc NAME``, the script's path is put if
                one of ``tools/`` runs.
            keywords: further ones of ``argparse.ArgumentParser``.
        """
        command = f"mmrbdc {name}" if name else None
        script, description = sys.argv[0], description or ""
        if command and script.endswith(".py") and "tools" in os.path.abspath(script).split(os.sep):
            description = description.replace(command, shlex.join(["python", script]))
            command = os.path.basename(script)
        super().__init__(
            prog=command,
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            **keywords,
        )
        self._words: Sequence[str] = ()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse does; the words are kept for :meth:`error`."""
        self._words = list(sys.argv[1:] if args is None else args)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """End with code 2, usage and message, and what a mistyped option may have meant."""
        known = [name for name in self._option_string_actions if name.startswith("--")]
        hints = ""
        for word in self._words:
            name = word.partition("=")[0]
            if not name.startswith("--") or any(option.startswith(name) for option in known):
                continue
            close = closest(name[2:], [option[2:] for option in known])
            said = f"; there is no {name}" if name not in message or close else ""
            hints += said + (f", did you mean --{close[0]}?" if close else "")
        super().error(message + hints)


def add_config_options(
    parser: argparse.ArgumentParser,
    help: str = "override the config, stages included (stages.0.epochs=1)",
) -> None:
    """Add ``--cfg-options``."""
    parser.add_argument(
        "--cfg-options", nargs="+", action=ConfigOptions, metavar="KEY=VALUE", help=help
    )


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what every command that runs a config takes."""
    parser.add_argument("config", help="config file")
    parser.add_argument(
        "--work-dir", help="where logs and weights are (default work_dirs/<config name>)"
    )
    add_config_options(parser)
    parser.add_argument(
        "--launcher",
        choices=["none", "pytorch", "slurm", "mpi"],
        default="none",
        help="job launcher",
    )
    # What torch.distributed.launch passes; torchrun sets LOCAL_RANK itself.
    parser.add_argument(
        "--local-rank", "--local_rank", action=_SetLocalRank, help=argparse.SUPPRESS
    )


def check_writable(option: str, folder: str | Path) -> None:
    """Refuse a folder in which nothing can be written, before the work for it; leaves no trace.

    Args:
        option: that names the folder, or a file in it.
        folder: which need not be there yet.

    Raises:
        ValueError: names the option.
    """
    folder = Path(folder)
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(
            f"{option}: nothing can be written into '{folder}' ({error.strerror}); name another "
            "place"
        ) from error
    finally:
        for path in new:
            with suppress(OSError):
                path.rmdir()


class _SetLocalRank(argparse.Action):
    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        os.environ.setdefault("LOCAL_RANK", values)
