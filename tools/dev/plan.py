"""What `make env` will do on a machine, and why: facts in, a plan out; nothing is touched."""

from __future__ import annotations

from dataclasses import dataclass

from machine import Machine, Toolkit
from options import Options
from pythons import FETCHED, NEWEST, OLDEST, Python, python_tag
from stacks import Stack
from steps import SetupError
from target import Target

NEEDED_BYTES = 9 * 2**30
CPU_JOB_MINUTES = 4.5
CUDA_JOB_MINUTES = 31.0
"""What one compiler takes alone for mmcv's ops of the CPU, and for those of one kind of GPU:
CPU time of all files, measured.
"""


@dataclass(frozen=True)
class Torch:
    """One of the two torches; ``major`` is of CUDA, and the oldest driver and card that it runs on.

    ``build`` is what its wheel for x86-64 calls itself after the version.
    """

    major: int
    cuda: str
    build: str
    oldest_driver: int
    oldest_card: float
    nvcc: str | None

    @property
    def file(self) -> str:
        """Its pins."""
        return f"torch-cu{self.major}.txt"


CU13 = Torch(13, "13.0", "cu130", 580, 7.5, nvcc="nvcc-cu13.txt")
CU12 = Torch(12, "12.8", "cu128", 525, 7.0, nvcc=None)


@dataclass(frozen=True)
class Plan:
    """What will be done.

    Attributes:
        python: the interpreter that makes the environment.
        fetch_python: whether uv fetches that interpreter first.
        fetch_headers: whether Python's C headers come from Debian's package, unpacked.
        files: the requirement files to install, without mmcv's.
        target: what mmcv is built for.
        from_cache: whether a fitting wheel of mmcv is kept.
        steps: title and expected time of each.
        notes: the reasons, one line each.
    """

    python: Python
    fetch_python: bool
    fetch_headers: bool
    files: tuple[str, ...]
    target: Target
    from_cache: bool
    steps: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]

    @property
    def pypi_nvcc(self) -> bool:
        """Whether nvcc comes from PyPI."""
        return self.target.cuda is not None and self.target.cuda_home is None


def plan(machine: Machine, options: Options, stack: Stack, has_venv: bool = False) -> Plan:
    """Judge the machine.

    Args:
        machine: the facts.
        options: what a person asked for.
        stack: official or onedl, with its pins.
        has_venv: whether a set-up is there already, so that little room is needed.

    Raises:
        SetupError: it cannot work here; the message says what would.
    """
    check_room(machine, stack, has_venv)
    torch, torch_note = choose_torch(machine, options)
    version = f"{stack.version(torch.file, 'torch')}+{torch.build}"
    cuda, cuda_note = choose_ops(machine, options, torch)

    def target_of(python: Python) -> Target:
        if options.ops == "0":
            return Target(python_tag(python), version, stack.mmcv_without_ops, ops=False)
        return Target(python_tag(python), version, stack.mmcv, **cuda)

    def has_wheel(python: Python) -> bool:
        return target_of(python).key in machine.wheels

    def ready(python: Python) -> bool:
        return options.ops == "0" or python.headers or has_wheel(python)

    python, python_note = choose_python(machine, options, ready)
    target, cached = target_of(python), has_wheel(python)
    compiled = target.ops and not cached
    if compiled and not machine.compiler:
        raise SetupError(
            "no C++ compiler: mmcv's ops are compiled here. As root: apt-get install g++ make; or "
            "without it: make env OPS=0 (pretraining and growing work, detectors do not)"
        )
    fetch_headers = compiled and not python.headers
    if fetch_headers and not machine.debian:
        raise SetupError(
            f"mmcv's ops are compiled, and Python.h of {python.executable} is missing: install the "
            f"headers of Python {python.short} (its -devel package), or without them: make env "
            "OPS=0 (pretraining and growing work, detectors do not)"
        )
    pypi_nvcc = compiled and target.cuda is not None and target.cuda_home is None
    files = [torch.file, *stack.files]
    if pypi_nvcc:
        assert torch.nvcc
        files.append(torch.nvcc)
    if not target.ops and stack.mmcv_without_ops_file:
        files.append(stack.mmcv_without_ops_file)
    notes = [python_note, torch_note, cuda_note]
    if fetch_headers:
        notes.append("Python.h is missing: it is unpacked from Debian's package, not installed")
    notes.append(mmcv_note(target, cached, stack, minutes(target, machine.jobs)))
    return Plan(
        python=python,
        fetch_python=python is FETCHED,
        fetch_headers=fetch_headers,
        files=tuple(files),
        target=target,
        from_cache=cached,
        steps=steps_of(target, cached, stack, python is FETCHED, minutes(target, machine.jobs)),
        notes=tuple(filter(None, notes)),
    )


def check_room(machine: Machine, stack: Stack, has_venv: bool) -> None:
    """Refuse a disk that would be full before the end."""
    if not has_venv and machine.free < NEEDED_BYTES:
        raise SetupError(
            f"{stack.venv.name} needs about {NEEDED_BYTES / 2**30:.0f} GiB while it is made, and "
            f"{stack.root} has {machine.free / 2**30:.1f} GiB free: make room there, or clone to "
            "another disk"
        )


def choose_python(machine: Machine, options: Options, ready: object) -> tuple[Python, str]:
    """The first supported interpreter that needs nothing more, else the first that is supported."""
    assert callable(ready)
    wanted = f"Python {OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]} is needed"
    supported = [python for python in machine.pythons if python.supported]
    if not supported:
        have = ", ".join(f"{python.full} ({python.executable})" for python in machine.pythons)
        if options.uv == "1":
            return FETCHED, f"{wanted}, here is {have or 'none'}: uv fetches {FETCHED.short}"
        raise SetupError(
            f"{wanted}, here is {have or 'none'}. Let uv fetch one: make env UV=1; or name another:"
            " make env PYTHON=/path/to/python3"
        )
    chosen = next(filter(ready, supported), supported[0])
    note = f"Python {chosen.full} ({chosen.executable})"
    first = machine.pythons[0]
    if chosen is not first:
        lacks = "lacks Python.h" if first.supported else f"is not {wanted.split(' is ')[0]}"
        note += f", since {first.executable} ({first.full}) {lacks}"
    return chosen, note


def choose_torch(machine: Machine, options: Options) -> tuple[Torch, str]:
    """The torch that the driver and the cards can run, or that was asked for."""
    driver, cards = machine.driver_major, [float(card) for card in machine.cards]
    if options.cuda in ("12", "13"):
        torch = CU12 if options.cuda == "12" else CU13
        note = f"torch for CUDA {torch.cuda}, as CUDA={options.cuda} says"
        if driver and driver < torch.oldest_driver:
            note += (
                f"; this machine's driver {machine.driver} is too old for it "
                f"({torch.oldest_driver} is needed), torch will not see the GPU here"
            )
        return torch, note
    if options.cuda == "cpu":
        return CU13, "torch is run on the CPU, as CUDA=cpu says"
    if not driver:
        return CU13, f"no NVIDIA driver here: torch for CUDA {CU13.cuda}, which runs on the CPU too"
    if driver < CU12.oldest_driver:
        return CU13, (
            f"NVIDIA's driver {machine.driver} is too old for any torch here: all runs on the CPU; "
            f"with driver {CU12.oldest_driver} or newer, make env again"
        )
    if driver < CU13.oldest_driver:
        return CU12, (
            f"torch for CUDA {CU12.cuda}: NVIDIA's driver {machine.driver} is too old for CUDA 13, "
            f"which needs {CU13.oldest_driver}"
        )
    served = {torch: sum(card >= torch.oldest_card for card in cards) for torch in (CU12, CU13)}
    if served[CU12] > served[CU13]:
        return CU12, (
            f"torch for CUDA {CU12.cuda}: CUDA 13 has nothing for cards of compute capability "
            f"{min(cards)}"
        )
    return CU13, f"torch for CUDA {CU13.cuda}, which NVIDIA's driver {machine.driver} can run"


def choose_ops(machine: Machine, options: Options, torch: Torch) -> tuple[dict[str, object], str]:
    """For which GPUs mmcv's ops are compiled and with which nvcc; empty for the CPU alone."""
    if options.ops == "0" or options.cuda == "cpu":
        return {}, ""
    usable = [card for card in machine.cards if float(card) >= torch.oldest_card]
    left_out = [card for card in machine.cards if card not in usable]
    archs = tuple(options.archs.split(";")) if options.archs else tuple(usable)
    if not options.archs and machine.driver_major < torch.oldest_driver:
        return {}, ""
    if not archs:
        return {}, (
            f"cards of compute capability {', '.join(left_out)} are too old for any torch here "
            f"({CU12.oldest_card} is needed): all runs on the CPU"
            if left_out
            else ""
        )
    toolkit: Toolkit | None = machine.toolkit
    why = "as TORCH_CUDA_ARCH_LIST says" if options.archs else "for the cards here"
    for_cards = f"mmcv's CUDA ops for sm_{', sm_'.join(a.replace('.', '') for a in archs)}, {why}"
    if left_out and not options.archs:
        for_cards += f" (not {', '.join(left_out)}, which torch gave up)"
    if toolkit and toolkit.major == torch.major and not toolkit.lacking:
        return (
            {"cuda": toolkit.version, "cuda_home": toolkit.home, "archs": archs},
            f"{for_cards}, by nvcc {toolkit.version} of {toolkit.home}",
        )
    misfit = "no nvcc here"
    if toolkit and toolkit.major != torch.major:
        misfit = f"nvcc {toolkit.version} of {toolkit.home} does not fit torch's CUDA {torch.cuda}"
    elif toolkit:
        misfit = f"the toolkit in {toolkit.home} lacks {', '.join(toolkit.lacking)}"
    if torch.nvcc:
        return {"cuda": torch.cuda, "archs": archs}, f"{for_cards}; {misfit}: it comes from PyPI"
    return {}, (
        f"mmcv's ops for the CPU alone, so detectors train on no GPU: {misfit}, and PyPI has no "
        f"nvcc for CUDA {torch.major}; install the CUDA {torch.cuda} toolkit and run: "
        "CUDA_HOME=/path/to/it make env"
    )


def mmcv_note(target: Target, cached: bool, stack: Stack, expected: int) -> str:
    """How mmcv comes."""
    if not target.ops:
        return (
            "mmcv without compiled ops, as OPS=0 says: pretraining, growing, planning and "
            "converting work, detectors do not (OPS=1 make env adds the ops)"
        )
    if cached:
        return "mmcv's wheel is kept from an earlier set-up"
    return f"mmcv's ops are compiled once, about {expected} min; the wheel is kept"


def minutes(target: Target, jobs: int) -> int:
    """How long mmcv's ops take to compile."""
    alone = CPU_JOB_MINUTES + (CUDA_JOB_MINUTES * len(target.archs) if target.cuda else 0)
    return max(1, round(alone / jobs))


def steps_of(
    target: Target, cached: bool, stack: Stack, fetch_python: bool, expected: int
) -> tuple[tuple[str, str], ...]:
    """Titles and expected times."""
    if not target.ops:
        mmcv = ("mmcv without ops", "seconds")
    elif cached:
        mmcv = ("mmcv with compiled ops, from the kept wheel", "seconds")
    else:
        mmcv = ("mmcv with compiled ops", f"about {expected} min")
    python = ("virtual environment", "1 min" if fetch_python else "seconds")
    return (
        python,
        ("torch and its CUDA libraries", "1 to 5 min, 2.5 GB"),
        ("OpenMMLab and all the rest", "about 1 min"),
        mmcv,
        ("mmrbdc itself, and a look at everything", "seconds"),
    )
