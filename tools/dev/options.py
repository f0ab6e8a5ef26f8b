"""What a person may ask of `make env`: ``STACK``, ``CUDA``, ``OPS``, ``UV`` and an architecture."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from steps import SetupError

ALLOWED = {
    "CUDA": ("auto", "12", "13", "cpu"),
    "OPS": ("1", "0"),
    "UV": ("0", "1"),
}
"""Values of each option; the first is what holds where nobody said anything."""


@dataclass(frozen=True)
class Options:
    """The options of one environment, as a person writes them."""

    cuda: str = "auto"
    ops: str = "1"
    uv: str = "0"
    archs: str = ""

    @classmethod
    def read(cls, environ: Mapping[str, str], kept: Mapping[str, str] | None = None) -> Options:
        """What the command says, else what the last set-up of the environment was told.

        Args:
            environ: the process's environment; `make` puts ``NAME=value`` of its command there.
            kept: options of the last set-up.

        Raises:
            SetupError: a value that an option cannot have.
        """
        kept = kept or {}
        # A path is of another program: uv sets UV, and some clusters CUDA, for what they start.
        environ = {k: v for k, v in environ.items() if not v.startswith("/")}
        values = {}
        for name, allowed in ALLOWED.items():
            value = environ.get(name) or kept.get(name.lower()) or allowed[0]
            if value not in allowed:
                raise SetupError(
                    f"{name} is '{value}'; it can be {', '.join(allowed[:-1])} or {allowed[-1]}: "
                    f"make env {name}={allowed[-1]}"
                )
            values[name.lower()] = value
        # UV says how to install, not what: it holds for one call.
        values["uv"] = environ.get("UV") or "0"
        archs = environ.get("TORCH_CUDA_ARCH_LIST") or kept.get("archs") or ""
        return cls(**values, archs=check_archs(archs))

    def kept(self) -> dict[str, str]:
        """What the environment remembers for the next call."""
        return {name: value for name, value in asdict(self).items() if name != "uv"}

    def said(self) -> str:
        """The options that are not what holds by itself: ``CUDA=12 OPS=0``."""
        words = {"CUDA": self.cuda, "OPS": self.ops}
        return " ".join(f"{k}={v}" for k, v in words.items() if v != ALLOWED[k][0])


def check_archs(text: str) -> str:
    """``"8.0;9.0"`` of ``TORCH_CUDA_ARCH_LIST``, which allows spaces and semicolons.

    Raises:
        SetupError: something else than numbers, with or without ``+PTX``.
    """
    archs = re.split(r"[;\s]+", text.strip())
    for arch in archs:
        if arch and not re.fullmatch(r"\d+\.\d[af]?(\+PTX)?", arch):
            raise SetupError(
                f"TORCH_CUDA_ARCH_LIST has '{arch}'; it takes compute capabilities such as "
                "'8.0 9.0' (of an A100 and an H100), with +PTX after one for newer cards too"
            )
    return ";".join(filter(None, archs))
