"""Configs by the name ``mmrbdc::``, and the wheel alone: what is found from any folder."""

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.registry import RUNNERS

import mmrbdc
from mmrbdc.__main__ import COMMANDS, main
from mmrbdc.engine.configs.loading import load_config
from mmrbdc.engine.configs.scope import drop_scope
from mmrbdc.shipped import command, find_config, near_configs, shipped_root

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.filterwarnings("ignore:pkg_resources")

NAME = "rbdc/deit-micro_2step_digits.py"
LINKS = Path(mmrbdc.__file__).parent / "shipped" / ".mim"
SHIPPED = sorted(
    path.relative_to(ROOT)
    for folder in ("configs", "tools")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in (".py", ".yml", ".sh") and ROOT / "tools" / "dev" not in path.parents
)


def write(folder, base, more=""):
    path = folder / "mine.py"
    path.write_text(f"_base_ = {base!r}\n{more}")
    return str(path)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """As if there were no checkout: the folder of what is shipped, in a wheel."""
    folder = tmp_path / "site packages" / ".mim"
    (folder / "configs").mkdir(parents=True)
    monkeypatch.setattr("mmrbdc.shipped._CONFIGS", folder / "configs")
    return folder


def test_a_checkout_links_to_all_that_is_shipped():
    assert shipped_root() == ROOT
    assert len(SHIPPED) > 140 and all((LINKS / path).is_file() for path in SHIPPED)
    assert (LINKS / "model-index.yml").is_file()


@pytest.mark.parametrize("name", [NAME, f"configs/{NAME}", f"mmrbdc::{NAME}"])
def test_a_shipped_config_is_found_from_any_folder(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_config(name) == ROOT / "configs" / NAME
    mine = tmp_path / name
    mine.parent.mkdir(parents=True)
    mine.write_text("")
    ours = name.startswith("mmrbdc::")
    assert find_config(name) == (ROOT / "configs" / NAME if ours else Path(name))


@pytest.mark.parametrize("name", ["rbdc/nothing.py", "/rbdc/x.py", "mmrbdc::", "rbdc", "x"])
def test_what_is_not_there_is_not_found(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_config(name) is None
    with pytest.raises(FileNotFoundError, match="here or among those that are shipped, in "):
        load_config(name)


WORDS = ["a b/c.py", "it's.py", "$HOME", "a&b", "[x].py", "`ls`", "Übung 1", "*", "#1", "", "~/a"]


@pytest.mark.parametrize("words", [WORDS, WORDS[::-1], ["work_dirs/a-b_1,2=3:4@5%+.py", 7]])
def test_a_shell_reads_a_printed_command_as_it_was_meant(words):
    read = subprocess.run(
        ["sh", "-c", f"printf '%s\\n' {command('train', *words)}"], capture_output=True, text=True
    ).stdout.splitlines()
    assert read == ["python", "tools/train.py", *map(str, words)]


def test_quotes_stand_only_where_they_must():
    """The twin: what a shell leaves alone is shown as it is."""
    assert (
        command("test", "a/b.py", "--max-dets", 300) == "python tools/test.py a/b.py --max-dets 300"
    )


@pytest.mark.parametrize(
    "name, script",
    [
        ("train", "train.py"),
        ("check-data", "misc/check_data.py"),
        ("convert", "model_converters/convert.py"),
        ("publish", "publish_model.py"),
        ("make_demo_data.py", "make_demo_data.py"),
    ],
)
def test_who_has_no_checkout_is_told_of_mmrbdc(name, script, request):
    assert command(name) == f"python tools/{script}" and (ROOT / "tools" / script).is_file()
    folder = request.getfixturevalue("installed")
    told = shlex.split(command(name, "x y.py"))
    begin = ["mmrbdc", name] if name in COMMANDS else ["python", str(folder / "tools" / script)]
    assert told == [*begin, "x y.py"]


def test_no_message_writes_a_command_out():
    """Texts outside of docstrings; what shell words are made of is made in one place."""
    place = Path(mmrbdc.__file__).parent
    found = {}
    for file in place.rglob("*.py"):
        tree = ast.parse(file.read_text())
        about = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            text = node.value if isinstance(node, ast.Constant) else None
            shown = isinstance(text, str) and id(node) not in about
            if shown and re.search(rf"tools/[\w/]*\.py|\bmmrbdc ({'|'.join(COMMANDS)})\b", text):
                found.setdefault(file.relative_to(place).as_posix(), []).append(text)
    # What a study starts is no text for a shell.
    assert found.pop("studies/run.py") == ["tools/train.py", "tools/test.py"]
    assert found == {}


@pytest.mark.parametrize(
    "name, near",
    [
        ("resnet-micro_scratch_digits.py", "baselines/resnet-micro_scratch_digits.py"),
        ("rbdc/resnet-micro_scratch_digits.py", "baselines/resnet-micro_scratch_digits.py"),
        ("mmrbdc::rbdc/deit-b_2stp_in1k.py", "rbdc/deit-b_2step_in1k.py"),
        ("configs/rbcd/deit-b_2step_in1k.py", "rbdc/deit-b_2step_in1k.py"),
        ("deit-b_2step_in1K.py", "rbdc/deit-b_2step_in1k.py"),
    ],
)
def test_a_config_of_another_folder_or_a_slip_is_recognised(name, near):
    assert near_configs(name)[0] == near
    with pytest.raises(FileNotFoundError, match=f"did you mean (mmrbdc::)?{near}"):
        load_config(name)


@pytest.mark.parametrize("name", ["xyzzy", "q.py", "/a/b/c.yml"])
def test_what_is_like_no_config_is_left_alone(name):
    assert near_configs(name) == []


FOLDERS = ["baselines/resnet-micro_scratch_digits.py", NAME,
           "detection/mask-rcnn_deit-s-rbdc-pre_sfp_8xb2-lsj-36e_coco-640px.py",
           "_base_/../mask-rcnn_random-deit-micro_scenes.py"]  # fmt: skip


@pytest.mark.parametrize("name", FOLDERS)
def test_a_base_by_name_gives_the_same_config_as_by_path(name, tmp_path):
    more = "randomness = dict(seed=3)\n"
    by_name = load_config(write(tmp_path, f"mmrbdc::{name}", more)).to_dict()
    by_path = load_config(write(tmp_path, str(ROOT / "configs" / name), more)).to_dict()
    assert by_name == by_path and by_name["randomness"]["seed"] == 3


def test_mmengine_notes_a_scope_that_would_be_another_config(tmp_path):
    """The twin: without ``drop_scope`` the two differ."""
    cfg = Config.fromfile(write(tmp_path, f"mmrbdc::{NAME}"))
    assert cfg.model["_scope_"] == cfg.train_dataloader.dataset["_scope_"] == "mmrbdc"
    drop_scope(cfg)
    assert cfg.to_dict() == Config.fromfile(str(ROOT / "configs" / NAME)).to_dict()
    other = Config(dict(model=dict(type="X", _scope_="mmdet", part=dict(_scope_="mmrbdc"))))
    drop_scope(other)
    assert other.to_dict() == dict(model=dict(type="X", _scope_="mmdet", part=dict()))


def test_the_fingerprints_of_a_run_are_the_same(tiny, tmp_path, monkeypatch):
    """Of MMEngine's own reading of it, and of ours."""
    monkeypatch.chdir(tiny.place)
    hashes = []
    for base in (f"mmrbdc::{NAME}", str(ROOT / "configs" / NAME)):
        for read in (Config.fromfile, load_config):
            cfg = read(write(tmp_path, base))
            cfg.work_dir = str(tmp_path / "w")
            hashes.append([stage.hash for stage in RUNNERS.build(cfg).protocol_run.stages])
    assert len(hashes[0]) == 3 and all(found == hashes[0] for found in hashes)


SCOPED = """
import mmrbdc
from mmengine.config import Config
from mmengine.registry import DATASETS, MODELS, TRANSFORMS, VISUALIZERS, init_default_scope

cfg = Config.fromfile({config!r})
init_default_scope(cfg.default_scope)
assert cfg.train_dataloader.dataset["_scope_"] == "mmrbdc"
scope = dict(_scope_="mmrbdc")
step = TRANSFORMS.build(dict(type={step!r}, **scope))
screen = VISUALIZERS.build(dict(type={visualizer!r}, name="screen", **scope))
for built in (MODELS.build(cfg.model), step, screen):
    print(type(built).__module__, type(built).__name__)
try:
    MODELS.build(dict(type="Nowhere", **scope))
except KeyError as error:
    print(error)
"""


@pytest.mark.parametrize(
    "name, step, visualizer, printed",
    [
        (NAME, "PackInputs", "UniversalVisualizer", "mmpretrain.models.classifiers.image Image"),
        (FOLDERS[-1], "LoadAnnotations", "DetLocalVisualizer", "mmdet.datasets.transforms.loading"),
    ],
)
def test_mmengine_alone_builds_what_has_that_scope(name, step, visualizer, printed, tmp_path):
    """A script that imported mmrbdc and reads the config itself; types are those of the run."""
    config = write(tmp_path, f"mmrbdc::{name}")
    script = SCOPED.format(config=config, step=step, visualizer=visualizer)
    command = [sys.executable, "-W", "ignore", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert printed in done.stdout and visualizer in done.stdout
    assert "Nowhere is not in the mm" in done.stdout


def test_a_short_name_needs_a_folder_and_the_error_says_so(tmp_path):
    config = write(tmp_path, "mmrbdc::mask-rcnn_random-deit-micro_scenes.py")
    with pytest.raises(ValueError, match=r"a folder behind '::'.* mmrbdc::_base_/\.\./NAME\.py"):
        load_config(config)
    with pytest.raises(FileNotFoundError, match="nothing-of-that-name"):
        load_config(write(tmp_path, "mmrbdc::rbdc/nothing-of-that-name.py"))


def test_mmengines_hub_finds_it_too():
    assert len(get_config(f"mmrbdc::{NAME}").stages) == 3


@pytest.mark.parametrize(
    "first, found",
    [
        ("import mmrbdc", True),
        ("import mmengine.config, mmrbdc", True),
        ("import mmrbdc.growth", True),
        ("import mmengine.config", False),
    ],
)
def test_importing_mmrbdc_is_what_it_takes(first, found, tmp_path):
    """In either order; MMEngine reads bases before ``custom_imports``, so nothing less does."""
    config = write(tmp_path, f"mmrbdc::{NAME}", "custom_imports = dict(imports=['mmrbdc'])\n")
    script = f"{first}\nfrom mmengine.config import Config\nConfig.fromfile({config!r})"
    command = [sys.executable, "-W", "ignore", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert (done.returncode == 0) == found, done.stderr
    assert found or "does not support to load mmrbdc config" in done.stderr


def test_importing_mmrbdc_stays_light():
    script = "import mmrbdc, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], timeout=60).returncode == 0


def test_the_command_lists_and_suggests(capsys):
    main(["--help"])
    shown = capsys.readouterr().out
    assert all(f"\n  {name} " in shown for name in COMMANDS)
    for words, hint in (
        (["trian"], "did you mean train?"),
        (["check_data"], "did you mean check-data?"),
        (["xyzzy"], "there is train, test, plan"),
        ([], "usage: mmrbdc COMMAND"),
    ):
        with pytest.raises(SystemExit) as end:
            main(words)
        assert end.value.code == 2 and hint in capsys.readouterr().err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_subcommand_answers(name, capsys):
    with pytest.raises(SystemExit) as end:
        main([name, "--help"])
    assert end.value.code == 0 and "usage: " in capsys.readouterr().out


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel of the repository, built in a copy of it: setuptools leaves files behind."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    left_out = shutil.ignore_patterns(
        ".git", ".venv*", "data", "work_dirs", "*.egg-info", ".*_cache"
    )
    shutil.copytree(ROOT, source, symlinks=True, ignore=left_out)
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "-w", folder, source], check=True, capture_output=True)
    (file,) = folder.glob("*.whl")
    return file


@pytest.mark.slow
def test_the_wheel_holds_all_that_is_shipped(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"mmrbdc/shipped/.mim/{path}" for path in SHIPPED} <= names
    assert "mmrbdc/shipped/.mim/model-index.yml" in names
    assert not [name for name in names if "/tools/dev/" in name or name.startswith("tests/")]


@pytest.mark.slow
def test_pip_alone_plans_trains_and_tests_from_an_empty_folder(wheel, tmp_path):
    """In a fresh environment that sees the packages of this one, and not this repository."""
    home = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    python = home / "bin" / "python"
    site = Path(
        subprocess.run(
            [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
            capture_output=True, text=True, check=True,
        ).stdout.strip()
    )  # fmt: skip
    (site / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps"]
    subprocess.run([*pip, "--no-index", "--force-reinstall", wheel], check=True)
    here = tmp_path / "empty"
    here.mkdir()
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment |= {"OMP_NUM_THREADS": "1"}

    def run(*command, code=0):
        done = subprocess.run(
            [str(word) for word in command],
            cwd=here, env=environment, capture_output=True, text=True, timeout=600,
        )  # fmt: skip
        assert done.returncode == code, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout

    where = run(python, "-c", "import mmrbdc.shipped as s; print(s.__file__, s.shipped_root())")
    assert str(site) in where and str(ROOT) not in where
    command = home / "bin" / "mmrbdc"
    assert "train" in run(command, "--help")
    assert "stage2_1x96" in run(command, "plan", NAME)
    root = Path(where.split()[1])
    run(python, root / "tools" / "make_demo_data.py", "--digits", "40", "20", "20",
        "--small-train", "20", "--scenes", "2", "1", "1")  # fmt: skip
    (here / "mine.py").write_text(f"_base_ = 'mmrbdc::{NAME}'\nrandomness = dict(seed=1)\n")
    quick = ["--cfg-options", "model.backbone.arch.num_layers=1", "train_dataloader.num_workers=0",
             "val_dataloader.num_workers=0", "train_dataloader.batch_size=8",
             *(f"stages.{i}.epochs=1" for i in range(3))]  # fmt: skip
    for config, name in ((NAME, Path(NAME).stem), ("mine.py", "mine")):
        run(command, "train", config, *quick)
        assert "top1" in run(command, "test", config, *quick)
        assert (here / "work_dirs" / name / "test.json").is_file()
    run(command, "study", "nothing.py", code=2)
