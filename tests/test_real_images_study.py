"""benchmarks/real_images.py: what it plans, and that a failure is named and stops nothing else."""

import importlib.util
from itertools import pairwise
from pathlib import Path

import pytest

from mmrbdc.weights import write_json

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.filterwarnings("ignore:pkg_resources")


@pytest.fixture(scope="module")
def study():
    """The benchmark as a module."""
    spec = importlib.util.spec_from_file_location("x", ROOT / "benchmarks" / "real_images.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder in the layout of CIFAR-10; its files are counted, not read."""
    root = tmp_path_factory.mktemp("cifar10")
    (root / "train" / "cat").mkdir(parents=True)
    for number in range(2000):
        (root / "train" / "cat" / f"{number}.jpg").touch()
    return root


def test_budgets_ratios_and_seeds(study, data):
    runs = study.plan_runs(study.parse_args(["--data", str(data), "--seeds", "0", "7"]))
    assert len(runs) == len({run.name for run in runs}) == 2 * (4 + 2 + 4 + 2)
    for run in runs:
        assert sum(run.lengths) > 0
        if "ratio" in run.name:
            ratio = float(run.name.split("ratio")[1].split("_")[0])
            found = [a / b for a, b in pairwise(run.lengths)]
            assert found == pytest.approx([ratio] * len(found), rel=0.1)
        else:
            assert run.lengths == pytest.approx([2.5 * run.budget], rel=0.05)
    assert {run.seed for run in runs[: len(runs) // 2]} == {0}


@pytest.mark.slow
def test_a_failure_is_named_and_stops_nothing_else(study, data, tmp_path, capsys):
    """There is no test folder, so every training fails, and every one is tried."""
    arguments = ["--data", str(data), "--seeds", "0", "--budgets", "0.5", "--ratios", "1.5"]
    arguments += ["--rbdc-budgets", "0.5", "--study", "resnet-mini_cifar10"]
    with pytest.raises(ValueError, match=r"2 of 2 runs failed: .*scratch_budget0.5_seed0.*\.log"):
        study.main([*arguments, "--work-dir", str(tmp_path / "w"), "--out", str(tmp_path / "o")])
    assert capsys.readouterr().out.count("FAILED") == 2
    assert not (tmp_path / "o").exists()


def test_a_finished_run_is_kept_only_while_its_command_is_the_same(study, data, tmp_path):
    args = study.parse_args(["--data", str(data)])
    run = study.plan_runs(args)[0]
    folder = tmp_path / run.name

    def done_before(run, args):
        return study.Job(folder, study.commands(run, args, tmp_path), run.budget).done

    assert not done_before(run, args)
    write_json(folder / "command.json", study.commands(run, args, tmp_path))
    assert done_before(run, args)
    other = study.parse_args(["--data", str(data), "--cfg-options", "optim_wrapper.optimizer.lr=1"])
    assert not done_before(run, other)


def test_refuses_a_folder_without_images(study, tmp_path):
    with pytest.raises(ValueError, match="there is no folder"):
        study.main(["--data", str(tmp_path)])
