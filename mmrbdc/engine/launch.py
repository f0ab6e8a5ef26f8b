"""From a config and a command line to a run, staged or not."""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import matplotlib
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.registry import RUNNERS
from mmengine.runner import IterBasedTrainLoop, Runner

from mmrbdc.datasets import check_config_data
from mmrbdc.datasets.loading.replay import draws_by_key
from mmrbdc.datasets.loading.workers import end_workers_with_run
from mmrbdc.datasets.splits import split_of_test
from mmrbdc.engine.checks.class_order import BegunClassesHook, check_tested_classes
from mmrbdc.engine.checks.first_step import check_first_step, check_test_loader, check_topk
from mmrbdc.engine.checks.loop_parts import check_loops
from mmrbdc.engine.checks.metric_trial import check_metrics
from mmrbdc.engine.checks.object_trial import try_optimizer
from mmrbdc.engine.checks.settings import check_parts, check_settings
from mmrbdc.engine.checks.vis_backends import check_vis_backends
from mmrbdc.engine.configs.cfg_options import merge_options
from mmrbdc.engine.configs.custom_imports import import_custom
from mmrbdc.engine.configs.loading import load_config, refuse_study
from mmrbdc.engine.configs.staged_keys import is_staged
from mmrbdc.engine.evaluation.detector import PREDICTIONS, evaluation_facts, keep_predictions
from mmrbdc.engine.hooks.checkpoint import CheckpointHook, newest_readable_checkpoint
from mmrbdc.engine.hooks.finite_loss import FiniteLossHook
from mmrbdc.engine.hooks.preemption import PreemptionHook
from mmrbdc.engine.hooks.reading import ReadingHook
from mmrbdc.engine.hooks.throughput import ThroughputHook
from mmrbdc.engine.inputs.image_size import check_canvas
from mmrbdc.engine.inputs.loading_errors import list_by_rules, loading_errors_in_words
from mmrbdc.engine.inputs.real_batch import batch_warnings, count_accumulated
from mmrbdc.engine.optim.amp import fit_amp_to_device, set_autocast
from mmrbdc.engine.process.distributed import prepare_distributed
from mmrbdc.engine.process.held_output import held_output
from mmrbdc.engine.process.lock import lock_folder
from mmrbdc.engine.process.precision import set_float32_precision
from mmrbdc.engine.process.signals import in_main_thread, listening
from mmrbdc.engine.stages.loop import ResumableLoop
from mmrbdc.engine.training.load_from import read_load_from
from mmrbdc.engine.training.resumed_run import end_logged, enter_run, keep_record
from mmrbdc.engine.training.runner import TrainingRunner
from mmrbdc.models.backbones.transfer import check_transferred_files
from mmrbdc.models.wrappers import unwrapped
from mmrbdc.ops import NO_OPS, check_ops, has_ops
from mmrbdc.shipped import command
from mmrbdc.weights import Checkpoint, load_strict, read_checkpoint, write_json
from mmrbdc.weights.read import file_sha256
from mmrbdc.weights.stock import stock_files_readable

__all__ = ["is_staged", "load_config", "prepare_config", "test", "train"]

_TO_TRAIN = ("model", "train_dataloader", "train_cfg", "optim_wrapper")
_LAUNCHERS = {
    "pytorch": (
        ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"),
        "`torchrun --nproc_per_node=N -m mmrbdc ...`",
    ),
    "slurm": (("SLURM_PROCID", "SLURM_NTASKS", "SLURM_NODELIST"), "srun"),
    "mpi": (("OMPI_COMM_WORLD_LOCAL_RANK", "MASTER_ADDR"), "mpirun -x MASTER_ADDR=HOST"),
}
"""What each launcher needs, and what sets it."""
_TO_TEST = ("model", "test_dataloader", "test_evaluator", "test_cfg")


def prepare_config(
    cfg: Config,
    *,
    options: dict[str, Any] | None = None,
    work_dir: str | None = None,
    resume: bool = False,
    seed: int | None = None,
    amp: bool | None = None,
    validate: bool = True,
    auto_scale_lr: bool = False,
    launcher: str = "none",
) -> Config:
    """Apply what a command line says to a loaded config; ``options`` are ``--cfg-options``,
    ``amp`` is bfloat16 autocast or none of it, ``None`` for the config's.

    Raises:
        ValueError: an unknown option, ``auto_scale_lr`` for a config without a base batch size,
            or a launcher that did not start this process.
    """
    refuse_study(cfg)
    merge_options(cfg, options)
    name = Path(cfg.filename).stem if cfg.filename else "run"
    _check_launcher(launcher)
    cfg.work_dir = work_dir or cfg.get("work_dir") or f"work_dirs/{name}"
    cfg.resume = resume
    cfg.launcher = launcher
    if seed is not None:
        cfg.randomness = dict(cfg.get("randomness", {}), seed=seed)
    if amp is not None:
        check_parts(cfg, "optim_wrapper")
        set_autocast(cfg, amp)
    if not validate:
        for key in ("val_cfg", "val_dataloader", "val_evaluator"):
            cfg[key] = None
        kept = {k: v for k, v in cfg.get("cfg_options", {}).items() if not k.startswith("val_")}
        cfg.cfg_options = kept
    if auto_scale_lr:
        if "base_batch_size" not in (cfg.get("auto_scale_lr") or {}):
            raise ValueError(
                f"--auto-scale-lr: {cfg.filename} has no auto_scale_lr.base_batch_size, the batch "
                "that its lr is meant for; set it with "
                "--cfg-options auto_scale_lr.base_batch_size=N"
            )
        cfg.auto_scale_lr.enable = True
    return cfg


def _check_launcher(launcher: str) -> None:
    """Check that a launcher's variables are there, as its processes have them."""
    needed, how = _LAUNCHERS.get(launcher, ((), ""))
    lost = [name for name in needed if name not in os.environ]
    if lost:
        raise ValueError(
            f"--launcher {launcher} needs {', '.join(lost)} in the environment, which nothing has "
            f"set; start the processes with {how}, or leave --launcher out for one process"
        )


def train(cfg: Config, stage: int | None = None, members: Sequence[int] | None = None) -> None:
    """Train a prepared config: a protocol by the staged runner, anything else by MMEngine's.

    Args:
        cfg: the config.
        stage: of a protocol, only this stage.
        members: of that stage, only these.
    """
    check_vis_backends(cfg)
    if is_staged(cfg):
        cfg.setdefault("runner_type", "mmrbdc.StagedRunner")
        with stock_files_readable():
            RUNNERS.build(cfg).train(stage, members)
        return
    if stage is not None or members is not None:
        raise ValueError(
            f"--stage and --member choose parts of a protocol, and {cfg.filename} has no stages"
        )
    check_ops(cfg)
    check_parts(cfg, *_TO_TRAIN)
    check_loops(cfg, "train")
    import_custom(cfg)
    check_canvas(cfg)
    check_settings(cfg)
    fit_amp_to_device(cfg)
    _export_members_here(cfg)
    check_transferred_files(cfg.model)
    check_topk(cfg, "val", "test")
    notes = _use_one_limit(cfg, "val", "test")
    remarks = check_config_data(cfg)
    check_metrics(cfg, "val", "test")
    notes += _use_own_datasets(cfg)
    prepare_distributed(cfg)
    lock_folder(cfg.work_dir)
    count_accumulated(cfg)
    entry = enter_run(cfg)
    beginning = read_load_from(cfg)
    with stock_files_readable():
        with held_output():
            runner = TrainingRunner.from_cfg(cfg)
            runner.beginning = beginning
            runner.register_hook(ReadingHook())
            runner.register_hook(BegunClassesHook())
            if not any(isinstance(hook, FiniteLossHook) for hook in runner.hooks):
                runner.register_hook(FiniteLossHook())
            warnings = [*batch_warnings(cfg), *remarks, *check_first_step(runner)]
            _tell_detector_limits(runner.val_loop, cfg, "val")
            try_optimizer(runner)
            keep_record(runner, entry)
        for line in notes:
            runner.logger.info(line)
        for line in warnings:
            runner.logger.warning(line)
        with (
            _saving_on_sigterm(runner) as saves,
            end_logged(runner, take_sigterm=not saves),
            loading_errors_in_words(lambda: f"iteration {runner.iter}"),
        ):
            runner.train()


def test(
    cfg: Config,
    checkpoint: str | None = None,
    *,
    weights: Literal["raw", "ema"] | None = None,
    show_dir: str | None = None,
    out: str | None = None,
    max_dets: int | None = None,
) -> dict[str, Any]:
    """Test a prepared config and write the figures to ``out`` (default ``<work_dir>/test.json``).

    ``split`` says what was tested on: ``test``, or ``validation`` or ``training`` where the test
    loader reads the same data. The file names the checkpoint (path, SHA-256, raw or EMA weights).
    That of a detector also names annotations, images and predictions, and how fast it was; the
    predictions are written beside it, in COCO's result format: ``predictions.bbox.json`` and
    ``predictions.segm.json``, or ``NAME.predictions.*`` for ``out`` NAME.json.

    Args:
        cfg: staged (its final model is tested) or not.
        checkpoint: another file than training left.
        weights: ``'raw'`` or ``'ema'`` for a file that holds both.
        show_dir: folder for drawn predictions (detectors).
        out: where the figures go.
        max_dets: detections an image and class that COCO's AP counts (detectors).

    Returns:
        The figures under short names: ``top1`` in percent, ``bbox_mAP`` and so on from 0 to 1.
    """
    path = Path(out) if out else Path(cfg.work_dir) / "test.json"
    set_float32_precision(cfg)
    loaders = (cfg.get(f"{name}_dataloader") for name in ("test", "val", "train"))
    split = split_of_test(*loaders)
    facts: dict[str, Any]
    if is_staged(cfg):
        if show_dir is not None:
            raise ValueError("--show-dir draws detections; a staged config has none")
        if max_dets is not None:
            raise ValueError("--max-dets is of COCO's AP; a staged config has none")
        cfg.setdefault("runner_type", "mmrbdc.StagedRunner")
        runner = RUNNERS.build(cfg)
        metrics = runner.test(checkpoint, weights=weights)
        run = runner.protocol_run
        file = Path(checkpoint or run.work_dir / f"{run.name}.pth")
        facts = {"checkpoint": {"path": str(file), "sha256": file_sha256(file)}}
    else:
        check_loops(cfg, "test", splits=("test",))
        content = _checkpoint_to_test(cfg, checkpoint, weights)
        name = PREDICTIONS if path.stem == "test" else f"{path.stem}.{PREDICTIONS}"
        keep_predictions(cfg, path.parent / name)
        throughput = ThroughputHook()
        metrics = _test_run(cfg, content, throughput, show_dir, max_dets)
        tested = {"path": str(content.path), "sha256": content.sha256, "weights": content.weights}
        facts = {"checkpoint": tested}
        if is_main_process():
            facts |= evaluation_facts(cfg)
            facts["throughput"] = throughput.measured(cfg.test_dataloader.batch_size)
    figures = {"split": split, **{name.split("/")[-1]: value for name, value in metrics.items()}}
    if is_main_process():
        write_json(path, {**figures, **facts})
    return figures


def _checkpoint_to_test(
    cfg: Config, checkpoint: str | None, weights: Literal["raw", "ema"] | None
) -> Checkpoint:
    path = Path(checkpoint) if checkpoint else _newest(cfg)
    if path is None:
        raise FileNotFoundError(
            f"{cfg.work_dir} holds no checkpoint; train first: "
            + command("train", cfg.filename, "--work-dir", cfg.work_dir)
        )
    return read_checkpoint(path, weights=weights)


def _test_run(
    cfg: Config,
    checkpoint: Checkpoint,
    throughput: ThroughputHook,
    show_dir: str | None,
    max_dets: int | None,
) -> dict[str, float]:
    check_ops(cfg)
    check_parts(cfg, *_TO_TEST)
    import_custom(cfg)
    check_settings(cfg)
    notes = _use_one_limit(cfg, "test", max_dets=max_dets)
    check_topk(cfg, "test")
    for key in list(cfg):
        if key.startswith(("train_", "val_")) or key in ("optim_wrapper", "param_scheduler"):
            cfg[key] = None
    remarks = check_config_data(cfg)
    check_metrics(cfg, "test")
    notes += _use_own_datasets(cfg)
    prepare_distributed(cfg)
    if show_dir is not None:
        cfg.default_hooks.visualization.update(draw=True, test_out_dir=show_dir)
        matplotlib.rcParams["text.parse_math"] = False  # a class's name may have dollars
    check_vis_backends(cfg)
    end_workers_with_run(cfg.test_dataloader)
    cfg.load_from = None
    with held_output():
        runner = Runner.from_cfg(cfg)
        for line in notes:
            runner.logger.info(line)
        runner.register_hook(throughput)
        runner.register_hook(ReadingHook())
        load_strict(unwrapped(runner.model), checkpoint.state_dict, source=str(checkpoint.path))
        remarks += check_test_loader(runner)
        remarks += check_tested_classes(str(checkpoint.path), checkpoint.meta, runner)
    for line in remarks:
        runner.logger.warning(line)
    _tell_detector_limits(runner.test_loop, cfg, "test")
    with loading_errors_in_words(lambda: "testing"):
        return runner.test()


@contextmanager
def _saving_on_sigterm(runner: Runner) -> Iterator[bool]:
    """Take SIGTERM as a request to save and stop where the run can go on at any iteration; gives
    whether it is taken so.
    """
    writes = any(isinstance(hook, CheckpointHook) for hook in runner.hooks)
    loops = isinstance(runner.train_loop, ResumableLoop | IterBasedTrainLoop)
    replays = draws_by_key(runner.train_dataloader.dataset)
    if not (writes and loops and replays and in_main_thread()):
        yield False
        return
    if not any(isinstance(hook, PreemptionHook) for hook in runner.hooks):
        runner.register_hook(PreemptionHook())
    with listening():
        yield True


def _use_one_limit(cfg: Config, *splits: str, max_dets: int | None = None) -> list[str]:
    """What ``evaluators.use_one_limit`` does; without mmcv's ops nothing scores boxes."""
    if has_ops():
        from mmrbdc.engine.evaluation.evaluators import use_one_limit

        return use_one_limit(cfg, *splits, max_dets=max_dets)
    if max_dets is not None:
        raise ValueError(f"--max-dets {max_dets}: {NO_OPS}")
    return []


def _tell_detector_limits(loop: Any, cfg: Config, split: str) -> None:
    """What ``evaluators.tell_detector_limits`` does, where boxes are scored at all."""
    if has_ops():
        from mmrbdc.engine.evaluation.evaluators import tell_detector_limits

        tell_detector_limits(loop, cfg, split)


def _use_own_datasets(cfg: Config) -> list[str]:
    """Let the data that was checked be read by the readers that checked it; what the log should say
    of it.
    """
    changed = []
    if has_ops():
        from mmrbdc.datasets.detection.dataset import judged_datasets

        changed = judged_datasets(cfg)
    notes = [f"CocoDataset is read as mmrbdc.CocoDataset: {', '.join(changed)}"] if changed else []
    return notes + list_by_rules(cfg)


def _export_members_here(cfg: Config) -> None:
    """Let a stage's ``config.py`` that is run by hand elsewhere write its members there, not over
    the protocol's.
    """
    here = Path(cfg.work_dir).resolve()
    for hook in cfg.get("custom_hooks") or []:
        if hook.get("type") == "mmrbdc.MemberExportHook":
            home = Path(hook["folder"]).resolve()
            if here != home and home not in here.parents:
                hook["folder"], hook["meta"]["config_hash"] = str(here), None


def _newest(cfg: Config) -> Path | None:
    return newest_readable_checkpoint(Path(cfg.work_dir), logging.getLogger(__name__))
