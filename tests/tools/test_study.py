"""tools/study.py: the grid, equal FLOPs, shared parents, going on, and what is refused."""

import csv
import functools
import json
import runpy
from pathlib import Path

import pytest

from mmrbdc.datasets.made.digits import make_digits
from mmrbdc.engine.cost.plan_inputs import plan_inputs
from mmrbdc.engine.stages.stage_setup import set_up_stages
from mmrbdc.methods import parse_protocol
from mmrbdc.plan import PlanError, make_plan
from mmrbdc.studies import jobs as study_jobs
from mmrbdc.studies import run as study_run
from mmrbdc.studies.study_config import read_grid, runs_of

ROOT = Path(__file__).parents[2]
STUDIES = sorted((ROOT / "configs" / "studies").glob("*.py"))
DIGITS = ROOT / "configs" / "studies" / "digits_deit.py"


def config(folder, **changes):
    """A small grid on the recipe of the digits; ``changes`` are keys of the study."""
    study = dict(
        recipe="configs/baselines/deit-micro_scratch_digits.py",
        options={"protocol.reference_epochs": 4, "protocol.train_samples": 200},
        seeds=[0, 1],
        budgets=[1.0],
        methods={
            "rbdc": dict(stages=[(2, "1/2"), (1, 1)], budgets=[0.5, 1.0]),
            "scratch": {},
            "net2net": dict(stages=[(1, "1/2"), (1, 1)]),
            "tiling": dict(stages=[(1, "1/2"), (1, 1)]),
        },
    )
    path = folder / "small.py"
    path.write_text(f"study = {dict(study, **changes)!r}\n")
    return path


@functools.cache
def shipped(path):
    """A study of configs/studies, planned."""
    return read_grid(path, ROOT)


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_all_methods_of_a_shipped_study_cost_its_budget(path):
    grid = shipped(path)
    ranked = [v for v in grid.variants if v.budget == grid.budget]
    assert {v.label for v in ranked} == {v.label for v in grid.variants}
    for variant in grid.variants:
        cfg = variant.config
        protocol = parse_protocol(cfg, name=variant.label)
        inputs = plan_inputs(cfg, protocol, options=cfg.get("cfg_options"))
        share = make_plan(protocol, **inputs).share
        assert share == pytest.approx(variant.budget, rel=0.01)


def test_runs_by_seed_and_shared_parents(tmp_path):
    grid = read_grid(config(tmp_path), ROOT)
    runs = runs_of(grid)
    assert [seed for _, seed in runs] == [0] * 5 + [1] * 5
    first = {v.label: v.first_stage for v in grid.variants if v.budget == 1}
    assert first["net2net"] == first["tiling"] != first["rbdc"]
    assert len({v.first_stage for v in grid.variants}) == 4


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_parents_are_shared_by_methods_that_train_them_alike(path, tmp_path):
    """By the hash of the first stage, which is everything that its members depend on."""
    hashes = {}
    for variant in shipped(path).variants:
        cfg = variant.config
        protocol = parse_protocol(cfg, name=variant.label)
        if len(protocol.stages) == 1:
            continue
        plan = make_plan(protocol, **plan_inputs(cfg, protocol, options=cfg.get("cfg_options")))
        first = set_up_stages(cfg, plan, 0, tmp_path)[0]
        hashes.setdefault(variant.first_stage, set()).add(first.hash)
    assert all(len(found) == 1 for found in hashes.values())
    assert len(set().union(*hashes.values())) == len(hashes)


def test_members_of_another_kind_are_not_shared(tmp_path):
    stages = [(2, "1/2"), (1, 1)]
    methods = {
        "rbdc": dict(stages=stages),
        "averaging": dict(stages=stages),
        "mixture-growth": dict(stages=stages),
        "ema": dict(method="rbdc", stages=stages, protocol=dict(parents="ema")),
    }
    grid = read_grid(config(tmp_path, methods=methods), ROOT)
    first = {v.label: v.first_stage for v in grid.variants}
    assert first["rbdc"] == first["averaging"]
    assert len(set(first.values())) == 3


@pytest.mark.parametrize(
    "changes, words",
    [
        (dict(methods=dict(magic={})), "study.methods.magic, budget 1: protocol.method is 'magic'"),
        (dict(metods={}), "unknown key 'metods'; did you mean 'methods'?"),
        (dict(seeds=[]), "study has no 'seeds'"),
        (
            dict(methods=dict(net2net=dict(stages=[(1, "3/4"), (1, 1)]))),
            "study.methods.net2net, budget 1: .*LayerNorm",
        ),
        (
            dict(methods=dict(rbdc=dict(stages=[(2, "1/2"), (1, 1)], budgets=[0.001]))),
            "leaves stages.* without an iteration",
        ),
        (dict(seeds=3), "study.seeds must be a list of whole numbers, got 3"),
        (dict(seeds=[0.5]), "study.seeds must be a list of whole numbers"),
        (dict(seeds=[1, 1]), "study.seeds names one twice"),
        (dict(seeds=[-1]), "study.seeds must lie between 0 and 4294967295"),
        (dict(budgets=["1"]), "study.budgets must be a list of numbers"),
        (dict(methods=dict(scratch=dict(seeds=1))), "study.methods.scratch.seeds must be a list"),
        (dict(methods=["rbdc"]), "study.methods must be a dict"),
        (dict(methods=dict(rbdc=dict(stages=[(2, "1/2", 1, 20), (1, 1)]))), "a stage is .*members"),
        (dict(methods=dict(rbdc=dict(stages=[2, 1]))), "a stage is .*members"),
        (
            dict(methods=dict(rbdc=dict(stages=3))),
            "study.methods.rbdc.stages must be a list, got 3",
        ),
        (
            dict(methods=dict(rbdc=dict(stages=[dict(members=2, width="1/2", epochs=3), (1, 1)]))),
            "study.methods.rbdc, budget 1: a stage's epochs follow from the budget",
        ),
        (dict(methods={"a/b": {}}), "study.methods.a/b: a method's name is that of its folders"),
        (dict(methods=dict(rbdc=dict(ratio="x"))), "rbdc.ratio must be a number, got 'x'"),
        (
            dict(options={"protocol.parents": "ema"}),
            "protocol.parents has no effect on a study",
        ),
        (dict(options={"protocol.reference_epoch": 4}), "protocol.reference_epoch has no effect"),
        (dict(options={"stages.0.epochs": 4}), "the option stages.0.epochs has no effect"),
        (dict(methods=dict(scratch=dict(imports="mine"))), "imports must be a list, got 'mine'"),
        (
            dict(methods=dict(mine=dict(protocol=dict(method="scratch")))),
            "study.methods.mine.protocol may not set method",
        ),
        (
            dict(methods=dict(scratch=dict(protocol=dict(reference_epochs=1)))),
            "protocol may not set reference_epochs",
        ),
        (
            dict(methods={"scratch": {}, "other": dict(method="scratch")}),
            "several from scratch, other, scratch",
        ),
        (
            dict(methods=dict(scratch=dict(budgets=[1, 1.0001]))),
            "study.methods.scratch: budgets 1 and 1.0001 give the same iterations",
        ),
        (dict(recipe="configs/detection/mask-rcnn_r50-random_fpn_1x_coco.py"), "has no 'protocol'"),
        (
            dict(methods=dict(gradmax=dict(stages=[(1, 1, "1/2"), (1, 1)], budgets=[0.01]))),
            "study.methods.gradmax, budget 0.01: .*growing alone costs",
        ),
        (
            dict(
                methods=dict(
                    firefly=dict(
                        stages=[dict(members=1, width=1, inner="1/2", depth="1/2"), (1, 1)]
                    )
                )
            ),
            "grows the inner widths .* cannot grow depth from 1/2 to 1",
        ),
        (
            dict(methods=dict(rbdc=dict(stage=[(1, 1)]))),
            "study.methods.rbdc has an unknown key 'stage'; did you mean 'stages'?",
        ),
    ],
)
def test_what_is_refused(tmp_path, changes, words):
    with pytest.raises(ValueError, match=words):
        read_grid(config(tmp_path, **changes), ROOT)


@pytest.fixture
def without_training(monkeypatch):
    """Command lines succeed at once; they are collected."""
    calls = []

    def run_commands(commands, log, run_command):
        calls.append(commands)
        place = commands[0]
        run = Path(place[place.index("--work-dir") + 1])
        (run / "stage0_x").mkdir(parents=True, exist_ok=True)
        (run / "test.json").write_text("{}")
        return "tiling" not in place[1]

    monkeypatch.setattr(study_jobs, "run_commands", run_commands)
    return calls


def test_a_disk_that_is_full_stops_no_other_run(tmp_path, without_training, monkeypatch):
    def fails(owner, own):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(study_run, "_copy_first_stage", fails)
    failed = study_run.run_grid(read_grid(config(tmp_path), ROOT), tmp_path / "w", ROOT)
    assert failed == ["tiling_budget1_seed0", "tiling_budget1_seed1"]
    assert len(without_training) == 8


def test_a_failure_is_named_and_finished_runs_are_kept(tmp_path, without_training):
    grid = read_grid(config(tmp_path), ROOT)
    folder = tmp_path / "w"
    failed = study_run.run_grid(grid, folder, ROOT)
    assert failed == ["tiling_budget1_seed0", "tiling_budget1_seed1"]
    done, missing = study_run.finished_runs(grid, folder, ROOT)
    assert [path.name for path in missing] == failed
    assert len(done) == 8
    without_training.clear()
    assert study_run.run_grid(grid, folder, ROOT, resume=True) == failed
    assert len(without_training) == 2


@pytest.mark.parametrize("name, text", [("command.json", '{"conf'), ("test.json", "")])
def test_a_damaged_record_means_that_the_run_is_made_again(tmp_path, without_training, name, text):
    grid = read_grid(config(tmp_path), ROOT)
    folder = tmp_path / "w"
    study_run.run_grid(grid, folder, ROOT)
    (folder / "scratch_budget1_seed1" / name).write_text(text)
    _, missing = study_run.finished_runs(grid, folder, ROOT)
    assert "scratch_budget1_seed1" in [path.name for path in missing]
    without_training.clear()
    study_run.run_grid(grid, folder, ROOT, resume=True)
    assert len(without_training) == 1 + 2  # and the two that failed


def test_a_damaged_mark_says_what_to_do(tmp_path, without_training):
    grid = read_grid(config(tmp_path), ROOT)
    study_run.run_grid(grid, tmp_path / "w", ROOT)
    (tmp_path / "w/study.json").write_text("")
    with pytest.raises(PlanError, match=r'w/study.json is damaged .* write \{"name": "small"'):
        study_run.run_grid(grid, tmp_path / "w", ROOT, resume=True)


def test_a_report_is_not_written_over_another_study_s(tmp_path, without_training):
    main = runpy.run_path(str(ROOT / "tools" / "study.py"))["main"]
    path = config(tmp_path)
    study_run.run_grid(read_grid(path, ROOT), tmp_path / "w", ROOT)
    other = tmp_path / "other.py"
    other.write_text(path.read_text())
    study_run.run_grid(read_grid(other, ROOT), tmp_path / "o", ROOT)
    with pytest.raises(PlanError, match="o holds the study 'other' .* choose another --out"):
        main([str(path), "--work-dir", str(tmp_path / "w"), "--out", str(tmp_path / "o")])
    assert not (tmp_path / "o/ranking.md").exists()


def test_the_first_stage_is_copied_from_a_finished_run(tmp_path, without_training):
    grid = read_grid(config(tmp_path), ROOT)
    study_run.run_grid(grid, tmp_path / "w", ROOT)
    assert (tmp_path / "w/net2net_budget1_seed0/stage0_x").is_dir()
    assert (tmp_path / "w/tiling_budget1_seed0/stage0_x").is_dir()


def test_another_study_and_other_settings_are_refused(tmp_path, without_training):
    grid = read_grid(config(tmp_path), ROOT)
    folder = tmp_path / "w"
    study_run.run_grid(grid, folder, ROOT)
    with pytest.raises(PlanError, match="holds this study; add --resume"):
        study_run.run_grid(grid, folder, ROOT)
    changed = read_grid(config(tmp_path, methods=dict(scratch=dict(protocol=dict(warmup=1)))), ROOT)
    with pytest.raises(PlanError, match="other settings than scratch has now"):
        study_run.run_grid(changed, folder, ROOT, resume=True)
    more = read_grid(config(tmp_path, seeds=[0, 1, 2]), ROOT)
    without_training.clear()
    study_run.run_grid(more, folder, ROOT, resume=True)
    assert len(without_training) == 5 + 2  # the new seed, and the two that failed
    larger = read_grid(config(tmp_path, seeds=[0, 1], budgets=[1.0, 2.0]), ROOT)
    without_training.clear()
    study_run.run_grid(larger, folder, ROOT, resume=True)
    assert len(without_training) == 3 * 2 + 2  # the new budget, and the two that failed
    other = tmp_path / "other.py"
    other.write_text(config(tmp_path).read_text())
    with pytest.raises(PlanError, match="holds the study 'small' .* not 'other'"):
        study_run.run_grid(read_grid(other, ROOT), folder, ROOT, resume=True)


@pytest.mark.parametrize(
    "options, words",
    [
        (["--jobs", "0"], "--jobs is 0"),
        (["--cfg-options", "val_dataloader.dataset.data_root=nowhere"], "nowhere"),
    ],
)
def test_what_cannot_run_is_refused_before_the_folder_is_made(tmp_path, options, words):
    main = runpy.run_path(str(ROOT / "tools" / "study.py"))["main"]
    digits = tmp_path / "digits"
    make_digits(digits, counts=dict(train=20, val=10, test=10))
    data = [f"{split}_dataloader.dataset.data_root={digits}" for split in ("train", "test")]
    if options[0] == "--cfg-options":
        options = [*options, *data]
    with pytest.raises(ValueError, match=words):
        main([str(config(tmp_path)), "--work-dir", str(tmp_path / "w"), *options])
    assert not (tmp_path / "w").exists()


def test_a_run_is_known_from_another_folder_too(tmp_path, without_training, monkeypatch):
    """A path as typed, and where the checkout lies, change nothing about a finished run."""
    grid = read_grid(config(tmp_path), ROOT)
    monkeypatch.chdir(tmp_path)
    study_run.run_grid(grid, Path("w"), ROOT)
    done, _ = study_run.finished_runs(grid, tmp_path / "w", tmp_path / "elsewhere")
    assert len(done) == 8


@pytest.mark.parametrize("kind", ["none", "other", "changed"])
def test_a_report_of_another_study_is_refused(tmp_path, without_training, kind):
    main = runpy.run_path(str(ROOT / "tools" / "study.py"))["main"]
    path = config(tmp_path)
    study_run.run_grid(read_grid(path, ROOT), tmp_path / "w", ROOT)
    place, words = tmp_path / "w", "holds the study 'small'"
    options = ["optim_wrapper.optimizer.lr=1.0"] if kind == "changed" else []
    if kind == "none":
        place, words = tmp_path, "holds no study"
    elif kind == "other":
        path = path.rename(tmp_path / "other.py")
    else:
        words = "other settings than"
    arguments = ["--work-dir", str(place), "--report-only"]
    with pytest.raises(PlanError, match=words):
        main([str(path), *arguments, *(["--cfg-options", *options] if options else [])])


@pytest.mark.slow
def test_a_small_study_from_the_command_line(tmp_path):
    """Real runs: the report has every method, and FLOPs agree within 1 %."""
    path = config(tmp_path, methods={
        "rbdc": dict(stages=[(2, "1/2"), (1, 1)]),
        "scratch": {},
        "net2net": dict(stages=[(1, "1/2"), (1, 1)]),
    })  # fmt: skip
    main = runpy.run_path(str(ROOT / "tools" / "study.py"))["main"]
    digits = tmp_path / "digits"
    make_digits(digits, counts=dict(train=200, val=50, test=50))
    data = [f"{split}_dataloader.dataset.data_root={digits}" for split in ("train", "val", "test")]
    main([str(path), "--work-dir", str(tmp_path / "w"), "--cfg-options", *data])
    with (tmp_path / "w/runs.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    flops = [float(row["train_flops"]) for row in rows]
    assert max(flops) / min(flops) < 1.05  # 16 iterations of the reference cannot be cut finer
    page = (tmp_path / "w/study.html").read_text()
    assert all(word in page for word in ("RBDC", "scratch", "net2net", "minus RBDC"))
    ledgers = [json.loads(p.read_text()) for p in tmp_path.glob("w/*/ledger.json")]
    assert len(ledgers) == 6
