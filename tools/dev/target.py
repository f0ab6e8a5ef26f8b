"""What mmcv is built for: the name of its wheel's folder, and what its build is told."""

from __future__ import annotations

import os
import re
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """What a wheel of mmcv has to fit.

    Attributes:
        python: ``cp311``.
        torch: its version with the build, ``2.11.0+cu130``.
        mmcv: what pip is asked for: ``mmcv==2.1.0``, ``mmcv-lite==2.1.0`` (the same without ops).
        ops: whether it has compiled ops.
        cuda: nvcc's version, ``None`` for ops of the CPU alone.
        cuda_home: the toolkit's folder; ``None`` for the nvcc of ``requirements/nvcc-*.txt``.
        archs: compute capabilities of the GPUs.
    """

    python: str
    torch: str
    mmcv: str
    ops: bool = True
    cuda: str | None = None
    cuda_home: str | None = None
    archs: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Name of the folder: ``cp311-torch2.11.0-cu130-mmcv2.1.0-cpu-linux_x86_64``."""
        device = f"nvcc{self.cuda}-sm{'-'.join(self.archs)}" if self.cuda else "cpu"
        platform = re.sub(r"[-.]", "_", sysconfig.get_platform())
        parts = (
            self.python,
            f"torch{self.torch}",
            self.mmcv.replace("==", ""),
            device if self.ops else "noops",
            platform,
        )
        return "-".join(re.sub(r"[^\w.-]", "-", part) for part in parts)

    @property
    def project(self) -> str:
        """``mmcv`` or ``onedl-mmcv``."""
        return self.mmcv.split("==")[0]

    def environ(self, jobs: int, cuda_home: str | None = None) -> dict[str, str]:
        """What mmcv's ``setup.py`` and torch's extension builder are told.

        Args:
            jobs: compilers at a time.
            cuda_home: the toolkit's folder, for CUDA ops.
        """
        # Python asks for debug symbols, which take 40 % of the compiler's time.
        flags = f"{os.environ.get('CPPFLAGS', '')} -g0".strip()
        with_ops = "1" if self.ops else "0"
        common = {"MMCV_WITH_OPS": with_ops, "MAX_JOBS": str(jobs), "CPPFLAGS": flags}
        if self.cuda is None:
            # Where torch sees a GPU mmcv builds CUDA ops, and fails without an nvcc that fits.
            return {**common, "FORCE_CUDA": "0", "CUDA_VISIBLE_DEVICES": ""}
        assert cuda_home
        cuda = {"CUDA_HOME": cuda_home, "TORCH_CUDA_ARCH_LIST": ";".join(self.archs)}
        return {**common, "FORCE_CUDA": "1", **cuda}


def works(facts: Mapping[str, object], target: Target) -> bool:
    """Whether what the target promises was run and is right.

    Args:
        facts: what ``python -m mmrbdc.check_env --ops`` says.
        target: what was built; CUDA ops are run where there is a card.
    """
    if not target.ops:
        return facts.get("ops") is False
    cuda = target.cuda is None or not facts.get("archs") or facts.get("cuda") == ""
    return facts.get("cpu") == "" and cuda
