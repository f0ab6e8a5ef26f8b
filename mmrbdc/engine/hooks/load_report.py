"""The load report of a backbone, kept in the run's work dir, and whether the detector fits it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmrbdc.datasets.preprocessing import config_record
from mmrbdc.models.backbones.transfer import is_transferred
from mmrbdc.models.wrappers import unwrapped
from mmrbdc.registry import HOOKS
from mmrbdc.weights import DataRecord, WeightsError, read_model, write_json
from mmrbdc.weights.libraries import recognise, stored_record
from mmrbdc.weights.read import file_sha256

FILE_NAME = "load_report.json"


@HOOKS.register_module()
class LoadReportHook(Hook):
    """Write ``load_report.json``: what the backbone was filled with.

    ``checkpoint`` holds the meta of the pretraining (method, training FLOPs, accuracy, name, ...),
    path and hash, and ``load`` the counts; a backbone with random weights gives
    ``{"checkpoint": null}``. ``policy`` says what of a ResNet trains, ``load_from`` (path and
    hash) which file filled the whole model before the first step, if any did: the config's
    ``load_from``, or a checkpoint of another run that was resumed here; ``load_from.load`` counts
    the tensors of it that were loaded and names those that were not. Written after
    initialisation, before the first step; resuming a run keeps its ``load_from``.

    Before training and before a test, mean, std and channel order of the detector are compared with
    those of the pretraining, and a difference is a warning with both values; ``preprocessing`` has
    both, and whether they agree. Where the file does not say, nothing is compared.
    ``init_cfg=dict(type='mmrbdc.Transferred', preprocessing='any', ...)`` is for those who mean it.
    """

    leaves_weights = True

    def before_train(self, runner: Runner) -> None:
        """Compare, and write the file, on the main process."""
        if not is_main_process():
            return
        model = unwrapped(runner.model)
        report = getattr(model.backbone, "load_report", None) or {"checkpoint": None}
        compared = _compared(runner, report["checkpoint"])
        policy = getattr(model.backbone, "training_policy", None)
        path = Path(runner.work_dir) / FILE_NAME
        content = dict(report, policy=policy, load_from=_entered(runner, path))
        if compared is not None:
            content["preprocessing"] = compared
        write_json(path, content)

    def before_test(self, runner: Runner) -> None:
        """Compare, on the main process, with what the run was started from; if that is not known
        any more, with the file that the config names.
        """
        if not is_main_process():
            return
        written = Path(runner.work_dir) / FILE_NAME
        if written.is_file():
            checkpoint = json.loads(written.read_text()).get("checkpoint")
        else:
            checkpoint = _meta_of_file(_init_cfg(runner))
        _compared(runner, checkpoint)


def _compared(runner: Runner, checkpoint: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Compare the detector with its backbone's file, and warn; None for random weights."""
    if checkpoint is None:
        return None
    path = checkpoint.get("path")
    theirs = DataRecord.from_meta(checkpoint, path).preprocessing
    ours = config_record(runner.cfg).preprocessing
    same = ours.same_numbers(theirs) if ours and theirs else None
    wanted = _init_cfg(runner).get("preprocessing", "same")
    if same is False and theirs and ours and wanted == "same":
        mean, std = list(theirs.mean), list(theirs.std)
        order = {"rgb": "bgr_to_rgb=True", "bgr": "bgr_to_rgb=False"}.get(theirs.channels, "")
        runner.logger.warning(
            f"model.data_preprocessor gives the backbone images of {ours.label}, but the weights "
            f"of {path} were trained on {theirs.label}. Set mean={mean}, std={std}, {order} in "
            "model.data_preprocessor; if the difference is meant, "
            "model.backbone.init_cfg.preprocessing='any' silences this"
        )
    return {
        "pretraining": theirs and theirs.to_dict(),
        "detector": ours and ours.to_dict(),
        "same": same,
        "wanted": wanted,
    }


def _init_cfg(runner: Runner) -> Mapping[str, Any]:
    """The backbone's ``Transferred`` in the config; empty where there is none."""
    backbone = (runner.cfg.get("model") or {}).get("backbone") or {}
    found = backbone.get("init_cfg")
    listed = found if isinstance(found, list | tuple) else [found]
    return next((cfg for cfg in listed if cfg and is_transferred(cfg)), {})


def _meta_of_file(init_cfg: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the file of an init_cfg says of its data; None where it is not there any more."""
    if not init_cfg or not Path(init_cfg["checkpoint"]).is_file():
        return None
    try:
        checkpoint = read_model(init_cfg["checkpoint"], weights=init_cfg.get("weights"))
        found = recognise(checkpoint, prefix=init_cfg.get("prefix"))
    except WeightsError:  # the detector has weights of its own: a test does not need this file
        return None
    record, _ = stored_record(found)
    return {**record.to_meta(), "path": str(init_cfg["checkpoint"])}


def _entered(runner: Runner, report: Path) -> dict[str, Any] | None:
    """The file that filled the whole model; what ``report`` says of it where the run goes on."""
    given, resumes = runner.cfg.get("load_from"), runner.cfg.get("resume")
    own = Path(runner.work_dir).resolve()
    if resumes and (not given or own in Path(given).resolve().parents):
        return json.loads(report.read_text()).get("load_from") if report.is_file() else None
    if not given:
        return None
    fit = getattr(runner, "fit", None)
    return {
        "path": str(given),
        "sha256": file_sha256(given) if Path(given).is_file() else None,
        "load": fit.to_dict() if fit is not None else None,
    }
