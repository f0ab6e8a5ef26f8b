"""Say whether this Python environment can run mmrbdc, and print the line that repairs it.

    python -m mmrbdc.check_env

NVIDIA's driver, if there is one, against torch; for each package: which distribution provides it,
its version, whether that fits; then one compiled op of mmcv, run on the CPU and, if there is one,
on the GPU. Exit code 0 when all fits, 1 otherwise.
It works, and says so, where anything is missing: imports and ops run in other processes.
"""

import argparse
import contextlib
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mmrbdc import driver
from mmrbdc.cli import run_cli
from mmrbdc.supported import (
    OTHER_PROVIDERS,
    PYTHONS,
    STACKS,
    Supported,
    foreign,
    modules,
    pin,
    pins,
    providers_of,
    release,
    stack_of,
    torch_pins,
)

IMPORT = """
import importlib, json, sys
for module in sys.argv[1:]:
    try:
        importlib.import_module(module)
        error = ""
    except BaseException as caught:
        error = (str(caught).splitlines() or [""])[0]
        error = f"{type(caught).__name__}: {error}"
    print(json.dumps({module: error}), flush=True)
"""


@dataclass(frozen=True)
class Finding:
    """One row of the report.

    ``state`` is ok, untested, unused, left out, missing, broken, mixed or wrong.
    """

    name: str
    provided_by: str
    version: str
    wanted: str
    state: str
    note: str = ""

    @property
    def fits(self) -> bool:
        """Whether nothing has to be done."""
        return self.state in ("ok", "untested", "unused", "left out")


def collect() -> dict[str, Any]:
    """Look at the running environment.

    Returns:
        ``python``, ``executable``, ``make_env`` (the command that looks after it, empty if none
        does), ``asked`` (what that command was told), ``driver`` and ``cards`` of NVIDIA,
        ``packages``: for each import name its ``distributions`` (name to version) and ``error``,
        and ``ops``: see :func:`run_ops`.
    """
    providers = packages_distributions()
    errors = import_errors(modules())
    packages: dict[str, Any] = {}
    for module in modules():
        # Python 3.10 finds no provider for a distribution without top_level.txt; known names help.
        found: dict[str, str] = {}
        for name in (*providers.get(module, ()), *providers_of(module)):
            with contextlib.suppress(PackageNotFoundError):
                found[name.lower().replace("_", "-")] = version(name)
        packages[module] = {"distributions": found, "error": errors[module]}
    version_of_driver, cards = driver.find()
    return {
        "driver": version_of_driver,
        "cards": cards,
        "asked": asked(Path(sys.prefix)),
        "python": ".".join(map(str, sys.version_info[:3])),
        "executable": sys.executable,
        "make_env": make_env_command(Path(sys.prefix)),
        "packages": packages,
        "ops": ops_in_own_process(),
    }


def make_env_command(prefix: Path) -> str:
    """What made the environment in that folder, an empty string when it was not `make env`."""
    if not (prefix.parent / "tools" / "dev" / "make_env.py").exists():
        return ""
    return "STACK=onedl make env" if prefix.name == ".venv-onedl" else "make env"


def asked(prefix: Path) -> dict[str, str]:
    """What `make env` was told for the environment in that folder; empty if nothing."""
    try:
        told = json.loads((prefix / ".mmrbdc-options.json").read_text())
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def import_errors(modules: Sequence[str]) -> dict[str, str]:
    """What importing each module says, an empty string if nothing; a crash is told as one."""
    errors: dict[str, str] = {}
    while len(errors) < len(modules):
        left = [module for module in modules if module not in errors]
        code, told = json_lines(["-c", IMPORT, *left])
        errors.update(told)
        if len(errors) < len(modules):
            crashed = next(module for module in left if module not in errors)
            errors[crashed] = f"the process died (exit code {code}) while importing it"
    return errors


def json_lines(arguments: Sequence[str]) -> tuple[int, dict[str, Any]]:
    """Run Python; return its exit code and the JSON objects that it printed, merged."""
    command = [sys.executable, "-W", "ignore", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    found: dict[str, Any] = {}
    for line in result.stdout.splitlines():
        if line.startswith("{"):
            found.update(json.loads(line))
    return result.returncode, found


def ops_in_own_process() -> dict[str, Any]:
    """:func:`run_ops` behind a process border, since an op of a wrong build may crash."""
    code, ops = json_lines(["-m", "mmrbdc.check_env", "--ops"])
    died = f"the process died (exit code {code}) in the op"
    if "torch" in ops:
        ops.setdefault("cpu", died)
    if ops.get("archs"):
        ops.setdefault("cuda", died)
    return ops


def run_ops() -> None:
    """Print JSON lines: ``root``, torch and its GPUs, whether mmcv has any ``ops``, and what its
    nms says on ``cpu`` and ``cuda``.
    """
    print(json.dumps({"root": str(Path(__file__).resolve().parents[1])}), flush=True)
    try:
        import torch
    except Exception:
        return
    gpus = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
    archs = sorted({"{}.{}".format(*torch.cuda.get_device_capability(gpu)) for gpu in gpus})
    facts = {"torch": torch.__version__, "torch_cuda": torch.version.cuda, "archs": archs}
    print(json.dumps(facts), flush=True)
    with contextlib.suppress(ImportError):  # mmcv is missing or does not import: nms tells
        print(json.dumps({"ops": find_spec("mmcv._ext") is not None}), flush=True)
        print(json.dumps({"ops_cuda": ops_cuda()}), flush=True)
    for device in ("cpu", "cuda") if archs else ("cpu",):
        try:
            problem = run_nms(device)
        except Exception as error:
            lines = str(error).splitlines() or [""]
            problem = f"{type(error).__name__}: {lines[0]}"
        print(json.dumps({device: problem}), flush=True)


def ops_cuda() -> str:
    """The CUDA that mmcv's ops were compiled for, such as ``13.0``; empty for the CPU alone."""
    from mmcv.ops import get_compiling_cuda_version

    told = get_compiling_cuda_version()
    return told if release(told) else ""


def run_nms(device: str) -> str:
    """Three boxes, two of them over each other, through mmcv's compiled nms; says what is wrong."""
    import torch
    from mmcv.ops import nms

    boxes = torch.tensor([[0.0, 0, 10, 10], [1, 1, 10, 10], [20, 20, 30, 30]], device=device)
    _, keep = nms(boxes, torch.tensor([0.9, 0.8, 0.7], device=device), 0.5)
    return "" if keep.tolist() == [0, 2] else f"nms kept boxes {keep.tolist()}, expected [0, 2]"


def judge(facts: Mapping[str, Any]) -> list[Finding]:
    """Compare what :func:`collect` found with the stack that is installed."""
    oldest, newest = PYTHONS
    wanted = "{}.{} to {}.{}".format(*oldest, *newest)
    in_range = oldest <= release(facts["python"])[:2] <= newest
    stack = stack_of(facts["packages"])
    findings = [
        Finding("python", "", facts["python"], wanted, "ok" if in_range else "wrong"),
        *judge_driver(facts),
        *(judge_package(item, facts["packages"][item.module]) for item in STACKS[stack]),
    ]
    note = f"mixed into the {stack} stack; pip lets one overwrite the other"
    findings = [
        replace(finding, state="mixed", note=note)
        if finding.provided_by in foreign(stack)
        else finding
        for finding in findings
    ]
    ops = judge_ops(facts["ops"])
    if facts["asked"].get("cuda") == "cpu":
        ops = [finding for finding in ops if finding.name != "mmcv op, cuda"]
    return findings + ops


def judge_driver(facts: Mapping[str, Any]) -> list[Finding]:
    """The row of NVIDIA's driver against torch's CUDA; none without a driver or where torch has no
    CUDA.
    """
    by_choice = facts["asked"].get("cuda") == "cpu"
    judged = driver.judge(
        facts["driver"], facts["cards"], facts["ops"].get("torch_cuda"), by_choice
    )
    if judged is None:
        return []
    wanted, state, note = judged
    return [Finding("driver", "NVIDIA", facts["driver"], wanted, state, note)]


def judge_package(item: Supported, found: Mapping[str, Any]) -> Finding:
    """The row of one import name."""
    have, error = found["distributions"], found["error"]
    wanted = f"{item.distribution} {' or '.join(item.tested)}"
    provided_by = " + ".join(sorted(have)) or ("not pip" if not error else "nothing")
    versions = " + ".join(have[name] for name in sorted(have)) or "?"

    def row(state: str, note: str = "") -> Finding:
        return Finding(item.module, provided_by, versions, wanted, state, note)

    if not have:
        return row("missing", error) if error else row("untested", "imported from a source folder")
    opencv = item.module == "cv2"
    if set(have) == {"mmcv-lite"} and item.distribution == "mmcv":
        have = {"mmcv": have["mmcv-lite"]}  # the same package without its ops, see judge_ops
    if len(have) > 1 and not opencv:
        return row("mixed", "more than one distribution; pip lets one overwrite the other")
    if error:
        return row("broken", error)
    name = next(iter(have))
    if name != item.distribution and not (
        opencv and set(have) <= {*OTHER_PROVIDERS["cv2"], item.distribution}
    ):
        return row("wrong", f"another distribution than {item.distribution}")
    numbers = release(have[name])
    if not release(item.lowest) <= numbers < release(item.below):
        return row("wrong", f"from {item.lowest}, below {item.below}")
    tested = name == item.distribution and numbers in {release(text) for text in item.tested}
    return row("ok" if tested else "untested")


def judge_ops(ops: Mapping[str, Any]) -> list[Finding]:
    """The rows of mmcv's compiled op."""
    if "torch" not in ops:
        return [Finding("mmcv op, cpu", "", "", "", "missing", "not run: torch does not import")]
    if ops.get("ops") is False:
        note = "mmcv has no compiled ops: pretraining and growing work, detectors do not"
        return [Finding("mmcv op, cpu", "mmcv nms", "", "runs", "left out", note)]
    rows = [("mmcv op, cpu", ops["cpu"])]
    if ops.get("archs"):
        rows.append(("mmcv op, cuda", ops["cuda"]))
    findings = [
        Finding(name, "mmcv nms", "", "runs", "broken" if problem else "ok", problem)
        for name, problem in rows
    ]
    if ops.get("ops_cuda") and not ops.get("archs"):
        note = f"compiled for CUDA {ops['ops_cuda']}; there is no GPU here to run it on"
        findings.append(Finding("mmcv op, cuda", "mmcv nms", "", "runs", "unused", note))
    return findings


def fixes(facts: Mapping[str, Any], findings: Sequence[Finding]) -> list[str]:
    """The commands that repair what does not fit, in order; empty when nothing is to be done."""
    bad = {finding.name: finding for finding in findings if not finding.fits}
    if not bad:
        return []
    if "python" in bad:
        make_env = facts["make_env"] or "make env"
        return [f"{make_env} PYTHON=python3.11   # Python {bad['python'].wanted}; or UV=1"]
    cuda = driver.fitting_cuda(facts["driver"], facts["cards"]) if "driver" in bad else None
    if facts["make_env"]:
        return [f"{facts['make_env']} CUDA={cuda}" if cuda else facts["make_env"]]
    pip = f"{facts['executable']} -m pip"
    items = STACKS[stack_of(facts["packages"])]
    stack = {item.module: item for item in items if item.module in bad}
    lines = []
    strangers = {
        name
        for item in stack.values()
        for name in facts["packages"][item.module]["distributions"]
        if name != item.distribution and bad[item.module].state in ("mixed", "wrong")
    }
    if strangers:
        lines.append(f"{pip} uninstall --yes {' '.join(sorted(strangers))}")
    if {"torch", "torchvision", "driver"} & set(bad):
        have = release(facts["ops"].get("torch_cuda") or "13")[0]
        lines.append(f"{pip} install --force-reinstall {torch_pins(cuda or have)}")
    rest = [item for item in stack.values() if item.module not in ("torch", "torchvision", "mmcv")]
    first = next(iter(stack), "")
    # A package may fail only because one further up does; that one is repaired first.
    rest = [i for i in rest if bad[i.module].state != "broken" or i.module == first]
    damaged = [i for i in rest if bad[i.module].state == "mixed" or is_damaged(bad[i.module])]
    absent = [item for item in rest if item not in damaged]
    if absent:
        lines.append(f"{pip} install {pins(absent)}")
    if damaged:
        lines.append(f"{pip} install --force-reinstall --no-deps {pins(damaged)}")
    mmcv_bad = "mmcv" in stack and (bad["mmcv"].state != "broken" or first == "mmcv")
    if mmcv_bad or not stack:
        lines += add_ops(facts)
    return lines


def add_ops(facts: Mapping[str, Any]) -> list[str]:
    """The commands that bring mmcv with its compiled ops."""
    if facts["make_env"]:
        return [f"{facts['make_env']} OPS=1"]
    pip = f"{facts['executable']} -m pip"
    gpu = "1" if facts["ops"].get("archs") else "0"
    mmcv = next(item for item in STACKS[stack_of(facts["packages"])] if item.module == "mmcv")
    if mmcv.distribution == "mmcv" and release(facts["python"]) >= (3, 13):
        return [
            f"make env   # in mmrbdc's repository; it mends mmcv {mmcv.tested[0]}'s setup.py, "
            "which does not run on Python 3.13, and keeps the wheel in ~/.cache/mmrbdc/wheels"
        ]
    return [
        f"{pip} install 'setuptools<81' wheel ninja psutil",
        f"MMCV_WITH_OPS=1 FORCE_CUDA={gpu} {pip} install --no-cache-dir --no-build-isolation "
        f"--no-deps --force-reinstall --no-binary {mmcv.distribution} {pin(mmcv)}",
    ]


def is_damaged(finding: Finding) -> bool:
    """Whether files of the package itself are at fault, rather than a module that it needs."""
    return finding.state == "broken" and "No module named" not in finding.note


def report(facts: Mapping[str, Any]) -> tuple[list[str], bool]:
    """The lines to print, and whether all fits."""
    findings = judge(facts)
    head = ("", "provided by", "version", "tested with", "")
    rows = [(f.name, f.provided_by, f.version, f.wanted, f.state) for f in findings]
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in [head, *rows]]
    notes = [f"{f.name}: {f.note}" for f in findings if f.note]
    lines += ["", *notes] if notes else []
    fix = fixes(facts, findings)
    verdict = (
        ["Not ready. To repair it, then run this again:", *("  " + line for line in fix)]
        if fix
        else ["All fits."]
    )
    if not fix and any(f.state == "left out" for f in findings):
        verdict = ["All fits for pretraining. To add what detectors need:"]
        verdict += ["  " + line for line in add_ops(facts)]
    return [*lines, "", *verdict], not fix


def main(argv: Sequence[str] | None = None) -> None:
    """Command line.

    Raises:
        SystemExit: with code 1, when something does not fit.
    """
    parser = argparse.ArgumentParser(
        prog="python -m mmrbdc.check_env", description=__doc__.split("\n")[0]
    )
    parser.add_argument(
        "--ops", action="store_true", help="only run mmcv's op, and print JSON lines (for make env)"
    )
    if parser.parse_args(argv).ops:
        run_ops()
        return
    lines, fits = report(collect())
    print("\n".join(lines))
    if not fits:
        raise SystemExit(1)


if __name__ == "__main__":
    run_cli(main)
