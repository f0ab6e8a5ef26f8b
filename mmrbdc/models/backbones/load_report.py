"""The load report of a backbone, kept in the run's work dir."""

from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmrbdc.models.wrappers import unwrapped
from mmrbdc.registry import HOOKS
from mmrbdc.weights import write_json

FILE_NAME = "load_report.json"


@HOOKS.register_module()
class LoadReportHook(Hook):
    """Write ``load_report.json``: what the backbone was filled with.

    ``checkpoint`` holds the meta of the pretraining (method, training FLOPs, accuracy, name, ...),
    path and hash, and ``load`` the counts; a backbone with random weights gives
    ``{"checkpoint": null}``. ``policy`` says what of a ResNet trains. Written after
    initialisation, before the first step.
    """

    def before_train(self, runner: Runner) -> None:
        """Write the file, on the main process."""
        if not is_main_process():
            return
        model = unwrapped(runner.model)
        report = getattr(model.backbone, "load_report", None) or {"checkpoint": None}
        policy = getattr(model.backbone, "training_policy", None)
        write_json(Path(runner.work_dir) / FILE_NAME, dict(report, policy=policy))
