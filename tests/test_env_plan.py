"""What `make env` would do on made-up machines, and the line that says why."""

from dataclasses import replace

import machine as machines
import make_env
import plan as plans
import pytest
import pythons
import stacks
from machine import Machine, Toolkit
from options import Options
from pythons import Python
from steps import SetupError
from target import Target

from mmrbdc import driver, supported

STACK = stacks.Stack("official", make_env.ROOT)
ONEDL = stacks.Stack("onedl", make_env.ROOT)


def python(version, headers=True, executable="python3"):
    return Python(executable, (*version, 0), headers=headers, ensurepip=True)


P39, P310, P311, P312, P313, P314 = (python((3, minor)) for minor in (9, 10, 11, 12, 13, 14))
CPU = "cp311-torch2.11.0-cu130-mmcv2.1.0-cpu-linux_x86_64"
BASE = ["torch-cu13.txt", "official.txt", "dev.txt"]
BASE12 = ["torch-cu12.txt", *BASE[1:]]


@pytest.fixture(autouse=True)
def x86(monkeypatch):
    """Keys name the platform; the expected ones here are of an ordinary Linux machine."""
    monkeypatch.setattr("target.sysconfig.get_platform", lambda: "linux-x86_64")


def make(machine, stack=STACK, **options):
    return plans.plan(machine, Options(**options), stack)


# name, machine, options, files, mmcv's key, words of its explanation
MACHINES = {
    "laptop without a card": (
        Machine((P311,)),
        {},
        BASE,
        CPU,
        "no NVIDIA driver here",
    ),
    "Debian 13: python3 is 3.13 and has no Python.h": (
        Machine((python((3, 13), headers=False),)),
        {},
        BASE,
        CPU.replace("cp311", "cp313"),
        "Python.h is missing: it is unpacked from Debian's package",
    ),
    "newest distribution: 3.14, nothing to compile with, ops left out": (
        Machine((P314,), compiler=False, debian=False),
        {"ops": "0"},
        [*BASE, "official-mmcv-lite.txt"],
        "cp314-torch2.11.0-cu130-mmcv-lite2.1.0-noops-linux_x86_64",
        "mmcv without compiled ops, as OPS=0 says",
    ),
    "workstation: new driver, no toolkit": (
        Machine((P312,), driver="580.65.06", cards=("8.9",)),
        {},
        [*BASE, "nvcc-cu13.txt"],
        "cp312-torch2.11.0-cu130-mmcv2.1.0-nvcc13.0-sm8.9-linux_x86_64",
        "no nvcc here: it comes from PyPI",
    ),
    "workstation: new driver, fitting toolkit": (
        Machine(
            (P312,), driver="590.1", cards=("9.0",), toolkit=Toolkit("/usr/local/cuda", "13.2")
        ),
        {},
        BASE,
        "cp312-torch2.11.0-cu130-mmcv2.1.0-nvcc13.2-sm9.0-linux_x86_64",
        "by nvcc 13.2 of /usr/local/cuda",
    ),
    "new driver, a compiler without CUDA's libraries": (
        Machine(
            (P312,),
            driver="590.1",
            cards=("9.0",),
            toolkit=Toolkit("/usr/local/cuda", "13.0", ("cublas_v2.h", "cusparse.h")),
        ),
        {},
        [*BASE, "nvcc-cu13.txt"],
        "cp312-torch2.11.0-cu130-mmcv2.1.0-nvcc13.0-sm9.0-linux_x86_64",
        "the toolkit in /usr/local/cuda lacks cublas_v2.h, cusparse.h: it comes from PyPI",
    ),
    "new driver, the toolkit of another CUDA": (
        Machine((P310,), driver="580.1", cards=("8.0", "9.0"), toolkit=Toolkit("/cuda", "12.4")),
        {},
        [*BASE, "nvcc-cu13.txt"],
        "cp310-torch2.11.0-cu130-mmcv2.1.0-nvcc13.0-sm8.0-9.0-linux_x86_64",
        "nvcc 12.4 of /cuda does not fit torch's CUDA 13.0",
    ),
    "cluster: driver of CUDA 12 with its toolkit": (
        Machine((P311,), driver="535.104.05", cards=("8.0",), toolkit=Toolkit("/cuda", "12.2")),
        {},
        BASE12,
        "cp311-torch2.10.0-cu128-mmcv2.1.0-nvcc12.2-sm8.0-linux_x86_64",
        "535.104.05 is too old for CUDA 13, which needs 580",
    ),
    "cluster: driver of CUDA 12, no toolkit": (
        Machine((P311,), driver="550.54", cards=("8.0",)),
        {},
        BASE12,
        "cp311-torch2.10.0-cu128-mmcv2.1.0-cpu-linux_x86_64",
        "PyPI has no nvcc for CUDA 12; install the CUDA 12.8 toolkit",
    ),
    "new driver, but a V100, which CUDA 13 gave up": (
        Machine((P311,), driver="580.1", cards=("7.0",), toolkit=Toolkit("/cuda", "12.8")),
        {},
        BASE12,
        "cp311-torch2.10.0-cu128-mmcv2.1.0-nvcc12.8-sm7.0-linux_x86_64",
        "CUDA 13 has nothing for cards of compute capability 7.0",
    ),
    "driver too old for any torch": (
        Machine((P311,), driver="470.223", cards=("8.6",), toolkit=Toolkit("/cuda", "11.4")),
        {},
        BASE,
        CPU,
        "470.223 is too old for any torch here: all runs on the CPU",
    ),
    "a card, but the CPU is asked for": (
        Machine((P311,), driver="580.1", cards=("9.0",)),
        {"cuda": "cpu"},
        BASE,
        CPU,
        "as CUDA=cpu says",
    ),
    "login node without a card, for nodes that have two kinds": (
        Machine((P313,), toolkit=Toolkit("/cuda", "11.8")),
        {"archs": "8.0;9.0+PTX"},
        [*BASE, "nvcc-cu13.txt"],
        "cp313-torch2.11.0-cu130-mmcv2.1.0-nvcc13.0-sm8.0-9.0-PTX-linux_x86_64",
        "for sm_80, sm_90+PTX, as TORCH_CUDA_ARCH_LIST says",
    ),
    "two Pythons, the first too old": (
        Machine((P39, P312)),
        {},
        BASE,
        CPU.replace("cp311", "cp312"),
        "since python3 (3.9.0) is not Python 3.10 to 3.14",
    ),
    "two Pythons, the first without Python.h": (
        Machine((python((3, 13), headers=False), P312)),
        {},
        BASE,
        CPU.replace("cp311", "cp312"),
        "since python3 (3.13.0) lacks Python.h",
    ),
    "only an old Python, uv may fetch another": (
        Machine((P39,)),
        {"uv": "1"},
        BASE,
        CPU.replace("cp311", "cp313"),
        "here is 3.9.0 (python3): uv fetches 3.13",
    ),
}


@pytest.mark.parametrize("name", MACHINES)
def test_each_machine_gets_what_a_person_would_want(name):
    machine, options, files, key, reason = MACHINES[name]
    found = make(machine, **options)
    assert list(found.files) == files
    assert found.target.key == key
    assert any(reason in note for note in found.notes), found.notes
    assert all("\n" not in note for note in found.notes)
    assert len(found.steps) == 5 and not found.from_cache


# name, machine, options, words of the one line
REFUSED = {
    "Python too old": (Machine((P39,)), {}, "3.10 to 3.14 is needed, here is 3.9.0 (python3)"),
    "Python too new": (Machine((python((3, 15)),)), {}, "make env UV=1"),
    "no compiler": (Machine((P311,), compiler=False), {}, "apt-get install g++"),
    "no compiler, ops can be left out": (Machine((P311,), compiler=False), {}, "make env OPS=0"),
    "no Python.h and no Debian": (
        Machine((python((3, 12), headers=False),), debian=False),
        {},
        "headers of Python 3.12",
    ),
    "a full disk": (Machine((P311,), free=2**30), {}, "has 1.0 GiB free"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_work_is_said_in_one_line_with_the_next_step(name):
    machine, options, words = REFUSED[name]
    with pytest.raises(SetupError) as caught:
        make(machine, **options)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_a_kept_wheel_needs_no_compiler_and_no_headers():
    bare = Machine((python((3, 11), headers=False),), compiler=False, debian=False)
    with pytest.raises(SetupError):
        make(bare)
    found = make(replace(bare, wheels=frozenset({CPU})))
    assert found.from_cache and not found.fetch_headers
    with pytest.raises(SetupError):  # its twin is for another Python
        make(replace(bare, wheels=frozenset({CPU.replace("cp311", "cp310")})))


def test_a_kept_wheel_of_cuda_ops_needs_no_nvcc():
    machine = Machine((P312,), driver="580.1", cards=("9.0",))
    fresh = make(machine)
    again = make(replace(machine, wheels=frozenset({fresh.target.key})))
    assert fresh.pypi_nvcc and "nvcc-cu13.txt" in fresh.files
    assert again.target == fresh.target and "nvcc-cu13.txt" not in again.files


def test_room_is_needed_for_a_new_environment_only():
    full = Machine((P311,), free=2**30)
    assert plans.plan(full, Options(), STACK, has_venv=True).target.key == CPU


@pytest.mark.parametrize("cuda", ["12", "13"])
def test_a_torch_that_is_asked_for_is_taken_also_where_the_driver_cannot_run_it(cuda):
    found = make(Machine((P311,), driver="470.1", cards=("8.6",)), cuda=cuda)
    assert found.files[0] == f"torch-cu{cuda}.txt"
    assert any("470.1 is too old for it" in note for note in found.notes)
    assert found.target.cuda is None


@pytest.mark.parametrize(
    ("cards", "cuda", "archs"),
    [
        (("7.5", "12.0"), 13, ("7.5", "12.0")),
        (("6.1", "8.6"), 13, ("8.6",)),
        (("7.0", "8.6"), 12, ("7.0", "8.6")),
        (("5.2", "6.1"), 13, ()),
    ],
)
def test_the_torch_that_most_cards_can_run_is_taken_and_check_env_agrees(cards, cuda, archs):
    machine = Machine((P311,), driver="580.1", cards=cards, toolkit=Toolkit("/cuda", f"{cuda}.0"))
    found = make(machine)
    assert found.target.archs == archs and found.files[0] == f"torch-cu{cuda}.txt"
    assert driver.fitting_cuda("580.1", cards) == (cuda if archs else None)
    if "6.1" in cards:
        assert any("6.1" in note for note in found.notes), found.notes


def test_the_forks_have_the_same_torch_and_their_own_mmcv():
    machine = Machine((P313,), driver="535.1", cards=("8.0",), toolkit=Toolkit("/cuda", "12.2"))
    found = make(machine, ONEDL)
    assert found.files == ("torch-cu12.txt", "onedl.txt", "dev.txt")
    assert found.target.mmcv == "onedl-mmcv==2.3.6" and found.target.cuda == "12.2"
    without = make(machine, ONEDL, ops="0")
    assert without.target.mmcv == "onedl-mmcv==2.3.6" and "noops" in without.target.key


def test_more_cards_and_fewer_cores_take_longer():
    def expected(**facts):
        return plans.minutes(make(Machine((P311,), **facts)).target, facts["jobs"])

    assert expected(jobs=2) > expected(jobs=8)
    gpu = {"driver": "580.1", "jobs": 4}
    assert (
        expected(jobs=4) < expected(cards=("9.0",), **gpu) < expected(cards=("8.0", "9.0"), **gpu)
    )


# --- options


@pytest.mark.parametrize(
    ("environ", "kept", "options"),
    [
        ({}, {}, Options()),
        ({"CUDA": "12"}, {}, Options(cuda="12")),
        ({}, {"cuda": "12", "ops": "0"}, Options(cuda="12", ops="0")),
        ({"OPS": "1", "CUDA": "auto"}, {"cuda": "12", "ops": "0"}, Options()),
        ({"UV": "1"}, {"uv": "1"}, Options(uv="1")),
        ({}, {"uv": "1"}, Options()),
        ({"UV": "/usr/bin/uv", "CUDA": "/opt/cuda"}, {}, Options()),
        ({"TORCH_CUDA_ARCH_LIST": "8.0 9.0;12.0a+PTX"}, {}, Options(archs="8.0;9.0;12.0a+PTX")),
    ],
)
def test_options_are_what_is_said_else_what_was_said(environ, kept, options):
    assert Options.read(environ, kept) == options


@pytest.mark.parametrize(
    ("name", "value"),
    [("CUDA", "11"), ("CUDA", "GPU"), ("OPS", "no"), ("UV", "yes"), ("OPS", "2")],
)
def test_an_unknown_value_is_refused_with_the_known_ones(name, value):
    with pytest.raises(SetupError, match=f"{name} is '{value}'; it can be .* or "):
        Options.read({name: value})


@pytest.mark.parametrize("archs", ["Hopper", "90", "9.0,8.0", "sm_90"])
def test_an_architecture_is_a_compute_capability(archs):
    with pytest.raises(SetupError, match="TORCH_CUDA_ARCH_LIST has"):
        Options.read({"TORCH_CUDA_ARCH_LIST": archs})


# --- looking at the machine


def programs(tmp_path, monkeypatch, **scripts):
    """A PATH of shell scripts and /bin/sh's own tools alone."""
    for name, text in scripts.items():
        path = tmp_path / name.replace("_", "-")
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("echo '580.65.06, 9.0'; echo '580.65.06, 9.0'", ("580.65.06", ("9.0",))),
        ("echo '570.1, 12.0'; echo '570.1, 8.6'", ("570.1", ("8.6", "12.0"))),
        ("case $* in *compute_cap*) exit 2;; *) echo 440.33.01;; esac", ("440.33.01", ())),
        ("echo 'NVIDIA-SMI has failed because it could not communicate'; exit 9", ("", ())),
        ("echo 'No devices were found'", ("", ())),
    ],
)
def test_cards_and_driver_are_read(tmp_path, monkeypatch, script, found):
    programs(tmp_path, monkeypatch, nvidia_smi=script)
    assert machines.find_cards() == found


def test_a_machine_without_nvidia_smi_has_no_cards(tmp_path, monkeypatch):
    programs(tmp_path, monkeypatch)
    assert machines.find_cards() == ("", ())


def test_the_toolkit_is_that_of_cuda_home(tmp_path, monkeypatch):
    (tmp_path / "bin").mkdir()
    nvcc = tmp_path / "bin" / "nvcc"
    nvcc.write_text("#!/bin/sh\necho 'Cuda compilation tools, release 12.8, V12.8.93'\n")
    nvcc.chmod(0o755)
    monkeypatch.setenv("CUDA_HOME", str(tmp_path))
    assert machines.find_toolkit() == Toolkit(str(tmp_path), "12.8", machines.HEADERS)
    headers = tmp_path / "targets" / "sbsa-linux" / "include"
    headers.mkdir(parents=True)
    for name in machines.HEADERS:
        (headers / name).touch()
    assert machines.find_toolkit() == Toolkit(str(tmp_path), "12.8")
    (headers / "cusparse.h").unlink()
    assert machines.find_toolkit() == Toolkit(str(tmp_path), "12.8", ("cusparse.h",))
    nvcc.unlink()
    assert machines.find_toolkit() is None


def test_a_script_on_the_path_is_not_taken_for_its_toolkit(tmp_path, monkeypatch):
    """As administrators and package managers leave them, beside the toolkit's usual place."""
    whole = tmp_path / "cuda"
    for home in (tmp_path / "local", whole):
        (home / "bin").mkdir(parents=True)
        nvcc = home / "bin" / "nvcc"
        nvcc.write_text("#!/bin/sh\necho 'Cuda compilation tools, release 13.0, V13.0.88'\n")
        nvcc.chmod(0o755)
    monkeypatch.delenv("CUDA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "local" / "bin"))
    monkeypatch.setattr(machines, "_usual_homes", lambda usual=machines._usual_homes: [
        str(whole) if home == "/usr/local/cuda" else home for home in usual()
    ])  # fmt: skip
    assert machines.find_toolkit().home == str(tmp_path / "local")
    (whole / "include").mkdir()
    for name in machines.HEADERS:
        (whole / "include" / name).touch()
    assert machines.find_toolkit() == Toolkit(str(whole), "13.0")


@pytest.mark.parametrize(("told", "jobs"), [("3", 3), ("0", 1)])
def test_max_jobs_is_heard(monkeypatch, told, jobs):
    monkeypatch.setenv("MAX_JOBS", told)
    assert machines.jobs() == jobs


def test_every_kept_wheel_is_seen_and_no_unfinished_one(tmp_path):
    for name in ("one", ".build-two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mmcv-2.1.0-cp311.whl").touch()
    (tmp_path / "three").mkdir()
    found = machines.look(make_env.ROOT, [tmp_path, tmp_path / "absent"], P311)
    assert found.wheels == {"one"} and found.pythons == (P311,)


def test_ranges_here_are_those_of_check_env():
    assert (pythons.OLDEST, pythons.NEWEST) == supported.PYTHONS
    told = {t.major: (t.oldest_driver, t.oldest_card) for t in (plans.CU12, plans.CU13)}
    assert told == supported.CUDA


def test_keys_of_wheels_that_are_kept_already_stay_as_they_are():
    assert Target("cp311", "2.11.0+cu130", "mmcv==2.1.0").key == CPU
