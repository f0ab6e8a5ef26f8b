"""check_env: every way in which an environment can be wrong is seen and gets its line."""

import os
import re
import subprocess
import venv
from pathlib import Path

import pytest

from mmrbdc import check_env, supported

ROOT = Path(check_env.__file__).parents[1]


def fitting(stack):
    """An environment of that stack that fits, outside of a clone's own .venv."""
    packages = {
        module: {"distributions": {}, "error": f"No module named '{module}'"}
        for module in supported.modules()
    }
    for item in supported.STACKS[stack]:
        found = {"distributions": {item.distribution: item.tested[0]}, "error": ""}
        packages[item.module] = found
    return {
        "python": "3.11.7",
        "driver": "",
        "cards": [],
        "asked": {},
        "executable": "python",
        "make_env": "",
        "packages": packages,
        "ops": {"torch": "2.11.0+cu130", "torch_cuda": "13.0", "archs": [], "ops": True, "cpu": ""},
    }


@pytest.fixture
def facts():
    return fitting("official")


@pytest.fixture
def onedl():
    return fitting("onedl")


def states(facts):
    return {finding.name: finding.state for finding in check_env.judge(facts)}


def repair(facts):
    lines, fits = check_env.report(facts)
    assert not fits
    return "\n".join(lines[lines.index("Not ready. To repair it, then run this again:") + 1 :])


@pytest.mark.parametrize("stack", supported.STACKS)
def test_each_supported_stack_fits(stack):
    lines, fits = check_env.report(fitting(stack))
    assert fits and lines[-1] == "All fits."
    assert set(states(fitting(stack)).values()) == {"ok"}


@pytest.mark.parametrize("stack", supported.STACKS)
def test_the_tested_versions_are_the_pinned_ones(stack):
    pins = {}
    for file in (f"{stack}.txt", f"{stack}-mmcv.txt", "torch-cu13.txt", "torch-cu12.txt"):
        text = (ROOT / "requirements" / file).read_text()
        for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE):
            pins.setdefault(name, set()).add(version)
    for item in supported.STACKS[stack]:
        assert set(item.tested) == pins[item.distribution], item.module


def test_tested_versions_are_in_the_range_that_may_work():
    for item in (item for items in supported.STACKS.values() for item in items):
        for tested in map(supported.release, item.tested):
            lowest, below = supported.release(item.lowest), supported.release(item.below)
            assert lowest <= tested < below, item


def test_a_missing_package_is_named_and_installed(facts):
    facts["packages"]["mmdet"] = {"distributions": {}, "error": "No module named 'mmdet'"}
    assert states(facts)["mmdet"] == "missing"
    assert repair(facts).strip() == "python -m pip install mmdet==3.3.0"


@pytest.mark.parametrize(("version", "state"), [("2.2.0", "wrong"), ("2.0.1", "untested")])
def test_mmcv_must_be_older_than_mmdet_allows(facts, version, state):
    facts["packages"]["mmcv"]["distributions"]["mmcv"] = version
    assert states(facts)["mmcv"] == state


def test_wrong_mmcv_is_compiled_anew_and_never_taken_from_a_cache(facts):
    facts["packages"]["mmcv"]["distributions"]["mmcv"] = "2.2.0"
    line = repair(facts).splitlines()[-1]
    for word in (
        "MMCV_WITH_OPS=1",
        "--no-cache-dir",
        "--no-build-isolation",
        "--no-deps",
        "==2.1.0",
    ):
        assert word in line


def test_an_op_that_does_not_run_is_not_ready(facts):
    facts["ops"]["cpu"] = "ImportError: undefined symbol"
    assert states(facts)["mmcv op, cpu"] == "broken"
    assert "FORCE_CUDA=0" in repair(facts)


def test_a_gpu_needs_ops_for_it(facts):
    facts["ops"].update(archs=["9.0"], cuda="RuntimeError: not compiled with GPU support")
    assert states(facts)["mmcv op, cuda"] == "broken"
    assert "FORCE_CUDA=1" in repair(facts)


@pytest.mark.parametrize(
    "cuda, archs, shown", [("13.0", [], True), ("", [], False), ("13.0", ["9.0"], False)]
)
def test_ops_compiled_for_gpus_are_told_where_there_is_none(facts, cuda, archs, shown):
    """As on a login node: they are there, and fit."""
    facts["ops"].update(ops_cuda=cuda, archs=archs, cuda="")
    lines, fits = check_env.report(facts)
    assert fits
    assert any("compiled for CUDA 13.0; there is no GPU here" in line for line in lines) == shown


def test_the_cause_is_repaired_not_what_fails_because_of_it(facts):
    facts["packages"]["mmcv"] = {"distributions": {}, "error": "No module named 'mmcv'"}
    facts["packages"]["mmdet"]["error"] = "ModuleNotFoundError: No module named 'mmcv'"
    facts["ops"]["cpu"] = "ModuleNotFoundError: No module named 'mmcv'"
    assert states(facts)["mmdet"] == "broken"
    assert "mmcv==2.1.0" in repair(facts) and "mmdet==" not in repair(facts)


def test_torch_and_torchvision_come_together(facts):
    facts["packages"]["torchvision"]["error"] = "RuntimeError: operator torchvision::nms"
    assert "torch==2.11.0 torchvision==0.26.0" in repair(facts)


def test_without_torch_the_op_is_not_run(facts):
    facts["packages"]["torch"] = {"distributions": {}, "error": "No module named 'torch'"}
    facts["ops"] = {"root": "."}
    assert states(facts)["mmcv op, cpu"] == "missing"


@pytest.mark.parametrize(
    ("version", "state"),
    [("2.3.6", "ok"), ("2.3.5", "untested"), ("2.4.0", "wrong"), ("2.1.0", "wrong")],
)
def test_forks_are_judged_by_their_own_versions(onedl, version, state):
    onedl["packages"]["mmcv"]["distributions"] = {"onedl-mmcv": version}
    assert states(onedl)["mmcv"] == state
    assert check_env.report(onedl)[1] == (state != "wrong")


def test_a_wrong_fork_is_repaired_with_forks(onedl):
    onedl["packages"]["mmcv"]["distributions"] = {"onedl-mmcv": "2.4.0"}
    onedl["packages"]["imgaug"] = {"distributions": {}, "error": "No module named 'imgaug'"}
    onedl["packages"]["mmdet"]["error"] = "ModuleNotFoundError: No module named 'imgaug'"
    fix = repair(onedl)
    assert "--no-binary onedl-mmcv onedl-mmcv==2.3.6" in fix
    assert "install imaug==0.4.2" in fix
    assert "mmdet" not in fix and " mmcv" not in fix


@pytest.mark.parametrize("module", ["mmengine", "mmcv", "mmdet", "mmpretrain"])
@pytest.mark.parametrize(("stack", "other"), [("official", "onedl"), ("onedl", "official")])
def test_a_package_of_the_other_stack_is_refused_and_replaced(stack, other, module):
    facts = fitting(stack)
    own, stranger = (
        next(item for item in supported.STACKS[name] if item.module == module)
        for name in (stack, other)
    )
    facts["packages"][module]["distributions"] = {stranger.distribution: stranger.tested[0]}
    assert states(facts)[module] == "mixed"
    assert [name for name, state in states(facts).items() if state != "ok"] == [module]
    fix = repair(facts)
    assert f"uninstall --yes {stranger.distribution}\n" in fix
    assert f" {own.distribution}=={own.tested[0]}" in fix.splitlines()[-1]


def test_two_distributions_of_one_name_are_seen(facts):
    facts["packages"]["mmengine"]["distributions"]["onedl-mmengine"] = "0.10.12"
    assert states(facts)["mmengine"] == "mixed"
    assert "uninstall --yes onedl-mmengine\n" in repair(facts)
    assert "--force-reinstall --no-deps mmengine==0.10.7" in repair(facts)


def test_any_opencv_will_do(facts):
    facts["packages"]["cv2"]["distributions"] = {"opencv-python": "4.12.0.88"}
    assert states(facts)["cv2"] == "untested"


def test_setuptools_without_pkg_resources_is_refused(facts):
    facts["packages"]["setuptools"]["distributions"]["setuptools"] = "82.0.0"
    assert "'setuptools>=60,<82'" in repair(facts)


@pytest.mark.parametrize("python", ["3.9.18", "3.15.0"])
def test_python_out_of_range(facts, python):
    facts["python"] = python
    assert states(facts)["python"] == "wrong" and "3.10 to 3.14" in repair(facts)


@pytest.mark.parametrize("python", ["3.10.0", "3.13.5", "3.14.0"])
def test_python_in_range(facts, python):
    facts["python"] = python
    assert check_env.report(facts)[1]


def test_from_3_13_on_mmcv_is_mended_by_make_env(facts, onedl):
    for one in (facts, onedl):
        one.update(python="3.13.1")
        one["ops"]["cpu"] = "ImportError: undefined symbol"
    assert repair(facts).strip().startswith("make env ")
    assert "--no-binary onedl-mmcv" in repair(onedl)


# --- NVIDIA's driver


@pytest.mark.parametrize(
    ("driver", "cards", "torch_cuda", "state", "words"),
    [
        ("580.65.06", ["9.0"], "13.0", "ok", ""),
        ("610.1", [], "13.0", "ok", ""),
        ("580.1", ["8.0"], "12.8", "ok", ""),
        ("535.104.05", ["8.0"], "12.8", "ok", ""),
        ("535.104.05", ["8.0"], "13.0", "wrong", "it runs CUDA 12"),
        ("579.99", [], "13.0", "wrong", "too old for torch's CUDA 13.0"),
        ("580.1", ["7.0"], "13.0", "wrong", "gave up cards of compute capability 7.0"),
        ("580.1", ["6.1", "8.6"], "13.0", "ok", ""),
        ("470.1", ["8.6"], "13.0", "unused", "all runs on the CPU"),
        ("580.1", ["5.2"], "13.0", "unused", "all runs on the CPU"),
        ("535.1", ["8.0"], "11.8", None, ""),
        ("", [], "13.0", None, ""),
        ("580.1", ["9.0"], None, None, ""),
    ],
)
def test_the_driver_is_judged_against_torch(facts, driver, cards, torch_cuda, state, words):
    facts.update(driver=driver, cards=cards)
    facts["ops"]["torch_cuda"] = torch_cuda
    found = [finding for finding in check_env.judge(facts) if finding.name == "driver"]
    assert [finding.state for finding in found] == ([state] if state else [])
    assert words in "".join(finding.note for finding in found)
    assert check_env.report(facts)[1] == (state != "wrong")


def test_a_driver_that_is_too_old_is_the_first_thing_told_and_mended(facts):
    facts.update(driver="550.1", cards=["9.0"])
    facts["packages"]["mmdet"] = {"distributions": {}, "error": "No module named 'mmdet'"}
    lines = repair(facts).strip().splitlines()
    assert "torch==2.10.0 torchvision==0.25.0" in lines[0] and "mmdet==3.3.0" in lines[1]
    facts["make_env"] = "make env"
    assert repair(facts).strip() == "make env CUDA=12"


def test_the_cpu_may_be_chosen(facts):
    facts.update(driver="470.1", cards=["9.0"], asked={"cuda": "cpu"})
    facts["ops"].update(archs=["9.0"], cuda="RuntimeError: not compiled with GPU support")
    assert states(facts)["driver"] == "unused" and "mmcv op, cuda" not in states(facts)
    assert check_env.report(facts)[1]
    facts["asked"] = {}  # its twin did not choose it
    assert states(facts)["mmcv op, cuda"] == "broken" and not check_env.report(facts)[1]


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("echo '580.65.06, 9.0'; echo '580.65.06, 12.0'", ("580.65.06", ["9.0", "12.0"])),
        ("case $* in *compute_cap*) exit 2;; *) echo 440.33.01;; esac", ("440.33.01", [])),
        ("echo NVIDIA-SMI has failed; exit 9", ("", [])),
        (None, ("", [])),
    ],
)
def test_driver_and_cards_are_read(tmp_path, monkeypatch, script, found):
    if script:
        (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert check_env.driver.find() == found


# --- mmcv without ops


@pytest.mark.parametrize("stack", supported.STACKS)
@pytest.mark.parametrize("make_env", ["", "make env"])
def test_without_ops_all_fits_for_pretraining_and_the_way_to_them_is_told(stack, make_env):
    facts = fitting(stack)
    facts["make_env"] = make_env
    if stack == "official":
        facts["packages"]["mmcv"]["distributions"] = {"mmcv-lite": "2.1.0"}
    facts["ops"].update(ops=False, cpu="ModuleNotFoundError: No module named 'mmcv._ext'")
    assert states(facts)["mmcv"] == "ok" and states(facts)["mmcv op, cpu"] == "left out"
    lines, fits = check_env.report(facts)
    assert fits and "All fits for pretraining. To add what detectors need:" in lines
    assert ("make env OPS=1" if make_env else "MMCV_WITH_OPS=1") in lines[-1]


def test_what_make_env_was_told_is_read(tmp_path):
    assert check_env.asked(tmp_path) == {}
    (tmp_path / ".mmrbdc-options.json").write_text('{"cuda": "12"}')
    assert check_env.asked(tmp_path) == {"cuda": "12"}
    (tmp_path / ".mmrbdc-options.json").write_text('{"cuda": ')
    assert check_env.asked(tmp_path) == {}


@pytest.mark.parametrize(
    ("folder", "command"),
    [(".venv", "make env"), (".venv-onedl", "STACK=onedl make env"), ("elsewhere/.venv", "")],
)
def test_in_a_clone_the_fix_is_make_env(facts, tmp_path, folder, command):
    (tmp_path / "tools" / "dev").mkdir(parents=True)
    (tmp_path / "tools" / "dev" / "make_env.py").touch()
    facts["make_env"] = check_env.make_env_command(tmp_path / folder)
    assert facts["make_env"] == command
    facts["packages"]["numpy"]["error"] = "ImportError: ..."
    assert (repair(facts).strip() == command) == bool(command)


def test_a_crash_while_importing_is_told_and_the_rest_still_looked_at(tmp_path, monkeypatch):
    (tmp_path / "crashes.py").write_text("import os\nos.abort()\n")
    (tmp_path / "raises.py").write_text("raise RuntimeError('first line\\nsecond')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    errors = check_env.import_errors(["json", "crashes", "raises", "csv"])
    assert "the process died" in errors["crashes"]
    assert errors["raises"] == "RuntimeError: first line"
    assert errors["json"] == errors["csv"] == ""


def test_an_empty_environment_gets_a_report_and_exit_code_1(tmp_path):
    venv.create(tmp_path / "bare", with_pip=False, symlinks=True)
    result = subprocess.run(
        [tmp_path / "bare" / "bin" / "python", "-m", "mmrbdc.check_env"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "mmcv: ModuleNotFoundError" in result.stdout
    assert "pip install --force-reinstall torch==" in result.stdout


def test_an_unknown_option_is_refused():
    with pytest.raises(SystemExit) as caught:
        check_env.main(["--no-such-option"])
    assert caught.value.code == 2


def test_the_op_runs_here():
    assert check_env.run_nms("cpu") == ""


@pytest.mark.gpu
def test_the_op_runs_on_the_gpu():
    assert check_env.run_nms("cuda") == ""
