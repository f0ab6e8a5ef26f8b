"""Run the tests marked ``numeric`` as several processors would: `make test-isa`.

oneDNN and PyTorch choose their kernels by the processor; both can be told to take an older one's
(``ONEDNN_MAX_CPU_ISA``, ``ATEN_CPU_CAPABILITY``), before torch is imported. What this processor
lacks is said and left out. The last run takes two threads instead of one.

    python tools/dev/test_isa.py [arguments of pytest]
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

ONEDNN = {"SSE41": "sse4_1", "AVX2": "avx2", "AVX512_CORE": "avx512bw"}
ATEN = {"default": None, "avx2": "avx2", "avx512": "avx512bw"}
"""Setting: the flag of /proc/cpuinfo that it needs."""
THREADS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def processor_flags() -> set[str]:
    """What Linux says that the first processor has."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("flags"):
            return set(line.partition(":")[2].split())
    return set()


def settings(flags: set[str]) -> tuple[list[dict[str, str]], list[str]]:
    """Environments to run in, and the settings that the processor lacks."""
    runs, lacking = [], []
    for variable, levels in (("ONEDNN_MAX_CPU_ISA", ONEDNN), ("ATEN_CPU_CAPABILITY", ATEN)):
        for level, flag in levels.items():
            if flag is None or flag in flags:
                runs.append({variable: level})
            else:
                lacking.append(f"{variable}={level} (no {flag})")
    return [*runs, dict.fromkeys(THREADS, "2")], lacking


def main(arguments: list[str]) -> int:
    """Run all; return 1 if one failed."""
    runs, lacking = settings(processor_flags())
    results = []
    for changes in runs:
        words = " ".join(f"{name}={value}" for name, value in changes.items())
        print(f"== {words}", flush=True)
        command = [sys.executable, "-m", "pytest", "-q", "-m", "numeric and not slow and not gpu"]
        start = time.monotonic()
        done = subprocess.run([*command, *arguments], env={**os.environ, **THREADS, **changes})
        seconds = time.monotonic() - start
        results.append((done.returncode, f"{words}: {seconds:.0f} s"))
    for code, words in results:
        print(f"{'passed' if code == 0 else f'FAILED, exit code {code}'}  {words}")
    for words in lacking:
        print(f"left out  {words}")
    return int(any(code for code, _ in results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
