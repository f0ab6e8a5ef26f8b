"""The command lines of the project on data of a few digits, as subprocesses."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    """Where mmcv has no compiled ops, leave out files of tests that import MMDetection."""
    report = yield
    if report.failed and _for_want_of_ops(None, str(report.longrepr)):
        report.outcome, report.longrepr = "skipped", (str(collector.path), None, _NEEDS_OPS)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Where mmcv has no compiled ops, a test that ends for want of them is one that needs them."""
    report = yield
    error = call.excinfo.value if call.excinfo else None
    if report.failed and _for_want_of_ops(error, str(report.longrepr)):
        report.outcome, report.longrepr = "skipped", (str(item.path), None, _NEEDS_OPS)
    return report


_NEEDS_OPS = "needs mmcv's compiled ops: make env OPS=1"


def _for_want_of_ops(error, told):
    from mmrbdc import ops

    if ops.has_ops():
        return False
    named = f"No module named '{ops.EXTENSION}'" in told or ops.NO_OPS[:40] in told
    return named or (error is not None and ops.lacks_ops(error))


class Tiny:
    """A folder with data/digits of a few digits, in which the tools run as a user runs them."""

    config = ROOT / "configs" / "rbdc" / "deit-micro_2step_digits.py"
    options = {
        "model.backbone.arch.num_layers": 2,
        "stages.0.epochs": 2.4,
        "stages.1.epochs": 2,
        "stages.2.epochs": 1.4,
        "train_cfg.val_interval": 1,
        "train_dataloader.batch_size": 8,
        "train_dataloader.num_workers": 1,
        "val_dataloader.num_workers": 0,
        "test_dataloader.num_workers": 0,
        "default_hooks.logger.interval": 1,
    }
    """Of 40 digits in batches of 8: 12, 10 and 7 iterations, 2 epochs and a part of one in two."""

    def __init__(self, place: Path):
        from mmrbdc.datasets.made.digits import make_digits

        self.place = place
        make_digits(place / "data" / "digits", counts=dict(train=40, val=20, test=20))

    def arguments(self, work_dir, *more, config=None, **options):
        """Arguments of tools/train.py; ``options`` have ``__`` for the dots of a key."""
        changes = {key.replace("__", "."): value for key, value in options.items()}
        pairs = [f"{k}={v}" for k, v in {**self.options, **changes}.items() if v is not None]
        config = config or self.config
        return [str(config), "--work-dir", str(work_dir), *more, "--cfg-options", *pairs]

    def run(self, *command, code=0, timeout=300, cwd=None, **environment):
        """Run a command in the folder and check its exit code; ``None`` lets any pass."""
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "PYTHON": sys.executable,
            **environment,
        }
        done = subprocess.run(
            [str(part) for part in command],
            cwd=cwd or self.place,
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        if code is not None:
            assert done.returncode == code, done.stdout[-1000:] + done.stderr[-3000:]
        return done

    def fork(self, script, *arguments, code=0):
        """Run a script as a fork that has the libraries; check and return its exit code."""
        from mmrbdc.processes import run_script

        log = self.place / "fork.log"
        log.write_text("")
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.place)
            done = run_script([str(part) for part in (script, *arguments)], log)
        assert code in (None, done), log.read_text()[-4000:]
        return done

    def tool(self, name, *arguments, **keywords):
        """Run a tool of the project with this interpreter."""
        return self.run(sys.executable, ROOT / "tools" / name, *arguments, **keywords)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    return Tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def finished(tiny):
    """The work dir of a protocol that nothing disturbed; tests read it and leave it as it is."""
    work_dir = tiny.place / "work_dirs" / "finished"
    tiny.fork(ROOT / "tools" / "train.py", *tiny.arguments(work_dir))
    return work_dir
