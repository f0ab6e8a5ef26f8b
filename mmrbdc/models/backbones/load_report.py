"""The load report of a backbone, kept in the run's work dir."""

import json
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmrbdc.models.wrappers import unwrapped
from mmrbdc.registry import HOOKS
from mmrbdc.weights import write_json
from mmrbdc.weights.read import file_sha256

FILE_NAME = "load_report.json"


@HOOKS.register_module()
class LoadReportHook(Hook):
    """Write ``load_report.json``: what the backbone was filled with.

    ``checkpoint`` holds the meta of the pretraining (method, training FLOPs, accuracy, name, ...),
    path and hash, and ``load`` the counts; a backbone with random weights gives
    ``{"checkpoint": null}``. ``policy`` says what of a ResNet trains, ``load_from`` (path and
    hash) which file filled the whole model before the first step, if any did: the config's
    ``load_from``, or a checkpoint of another run that was resumed here. Written after
    initialisation, before the first step; resuming a run keeps its ``load_from``.
    """

    def before_train(self, runner: Runner) -> None:
        """Write the file, on the main process."""
        if not is_main_process():
            return
        model = unwrapped(runner.model)
        report = getattr(model.backbone, "load_report", None) or {"checkpoint": None}
        policy = getattr(model.backbone, "training_policy", None)
        path = Path(runner.work_dir) / FILE_NAME
        write_json(path, dict(report, policy=policy, load_from=_entered(runner, path)))


def _entered(runner: Runner, report: Path) -> dict[str, Any] | None:
    """The file that filled the whole model; what ``report`` says of it where the run goes on."""
    given, resumes = runner.cfg.get("load_from"), runner.cfg.get("resume")
    own = Path(runner.work_dir).resolve()
    if resumes and (not given or own in Path(given).resolve().parents):
        return json.loads(report.read_text()).get("load_from") if report.is_file() else None
    if not given:
        return None
    return {"path": str(given), "sha256": file_sha256(given) if Path(given).is_file() else None}
