"""Arguments that several commands share."""

import argparse
import os
from typing import Any


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what every tool that runs a config takes."""
    from mmengine.config import DictAction

    parser.add_argument("config", help="config file")
    parser.add_argument(
        "--work-dir", help="where logs and weights are (default work_dirs/<config name>)"
    )
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=DictAction,
        metavar="KEY=VALUE",
        help="override the config, stages included (stages.0.epochs=1)",
    )
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


class _SetLocalRank(argparse.Action):
    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        os.environ.setdefault("LOCAL_RANK", values)
