"""The hook that freezes and thaws parts of a model while it is fine-tuned."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from mmrbdc.engine.hooks.detector_cost import LEVEL_KEY
from mmrbdc.engine.optim.layer_decay import LayerDecayError, parameter_layers
from mmrbdc.engine.unfreezing.levels import Kind, Levels, Schedule
from mmrbdc.models.frozen import frozen_norms
from mmrbdc.models.wrappers import unwrapped
from mmrbdc.registry import HOOKS
from mmrbdc.runs.records import read_record
from mmrbdc.shipped import command
from mmrbdc.weights import write_json

FILE_NAME = "unfreezing.json"
_SHOWN = 3


@HOOKS.register_module()
class UnfreezeHook(Hook):
    """Train a part of a backbone's blocks at first, and more of them stage by stage.

    For any MMEngine run whose model has a ``backbone`` with ``layer_of(name) -> int`` and
    ``num_layers`` (``mmrbdc.DeiT``, ``mmrbdc.ResNet``, ``ResNetV1c``, ``ResNetV1d``)::

        custom_hooks = [dict(type='mmrbdc.UnfreezeHook', levels=[1, 2, 3, 4])]

    What is frozen has no gradients, is not changed by the optimizer (no weight decay either), and
    its BatchNorms keep their statistics; the optimizer's state of a parameter begins when it
    thaws. The optimizer holds all of them from the start. ``unfreezing.json`` in the work dir says
    what was trained when; a run is resumed under the same schedule.

    Under DDP the model is wrapped with everything trainable and ``find_unused_parameters=True``:
    what is frozen before the wrap is never synchronised.

    Source: AutoProg-Zero (arXiv 2410.00350), its unfreezing alone, on a fixed schedule.

    Args:
        levels: of the stages, in order, from 1 to ``parts``; they never fall.
        kind: ``'interleaved'`` or ``'last'``, see
            :class:`mmrbdc.engine.unfreezing.levels.Levels`.
        begins: share of the run's iterations at which each stage begins; by default stages are of
            equal length.
        parts: into which the blocks are divided.

    Raises:
        ValueError: of the arguments; when training begins, a backbone without layers or with fewer
            blocks than parts, a parameter that is frozen already or that the optimizer has not,
            DDP without ``find_unused_parameters``, or another schedule than the run began with.
    """

    priority = "HIGH"

    def __init__(
        self,
        levels: Sequence[int] = (1, 2, 3, 4),
        kind: Kind = "interleaved",
        begins: Sequence[float] | None = None,
        parts: int = 4,
    ) -> None:
        self.levels = Levels(kind, parts)
        given = None if begins is None else tuple(begins)
        self.schedule = Schedule(tuple(levels), given, parts)
        self.level = 0
        self._layers: dict[str, int] = {}
        self._top = 0
        self._frozen_norms: list[nn.Module] = []

    def before_train(self, runner: Runner) -> None:
        """Check model, optimizer and record, and freeze for the stage that the run is in."""
        model = unwrapped(runner.model)
        try:
            self._layers, self._top = parameter_layers(model)
        except LayerDecayError as error:
            raise ValueError(f"UnfreezeHook needs the layer of every parameter: {error}") from error
        if self.levels.parts > self._top - 1:
            raise ValueError(
                f"UnfreezeHook(parts={self.levels.parts}): the backbone has {self._top - 1} "
                "blocks; give as many parts at most"
            )
        self._check_trainable(model)
        _check_optimizer(runner, model)
        _check_wrapper(runner.model, model)
        begins = self.schedule.iterations(runner.max_iters)
        self._keep_record(runner, model, begins)
        self.level = 0
        self._apply(runner)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Thaw what the stage of this iteration trains."""
        self._apply(runner)
        for norm in self._frozen_norms:  # an epoch begins with all of them in training mode
            norm.eval()

    def _apply(self, runner: Runner) -> None:
        stage = self.schedule.stage(runner.iter, runner.max_iters)
        level = self.schedule.levels[stage]
        if level == self.level:
            return
        self.level = level
        model = unwrapped(runner.model)
        trained = self.levels.trained(level, self._layers, self._top)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name in trained)
            if name not in trained:
                parameter.grad = None
        if model.training:
            model.train()  # norms that thaw learn their statistics again
        self._frozen_norms = frozen_norms(model)
        runner.message_hub.update_info(LEVEL_KEY, level)
        blocks = self.levels.blocks(level, self._top - 1)
        runner.logger.info(
            f"unfreezing: stage {stage + 1} of {len(self.schedule.levels)}, level {level} of "
            f"{self.levels.parts}: {len(blocks)} of {self._top - 1} blocks train"
        )

    def _check_trainable(self, model: nn.Module) -> None:
        """Refuse a parameter that somebody else froze and that this hook would thaw."""
        ever = self.levels.trained(self.schedule.levels[-1], self._layers, self._top)
        for name, parameter in model.named_parameters():
            if name in ever and not parameter.requires_grad:
                raise ValueError(
                    f"UnfreezeHook: {name} is frozen already, and its optimizer or its wrapper for "
                    "several processes may not know it; leave frozen_stages and policy='frozen' "
                    "out of the backbone, and freezing to this hook"
                )

    def _keep_record(self, runner: Runner, model: nn.Module, begins: list[int]) -> None:
        """Write ``unfreezing.json``, or compare it where the run is resumed."""
        path = Path(runner.work_dir) / FILE_NAME
        sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
        stages = [
            {
                "level": level,
                "begins": begin,
                "blocks": self.levels.blocks(level, self._top - 1),
                "trained_parameters": sum(
                    sizes[name] for name in self.levels.trained(level, self._layers, self._top)
                ),
            }
            for level, begin in zip(self.schedule.levels, begins, strict=True)
        ]
        content = {
            "kind": self.levels.kind,
            "parts": self.levels.parts,
            "iterations": runner.max_iters,
            "parameters": sum(sizes.values()),
            "stages": stages,
        }
        if runner.iter > 0 and path.is_file():
            self._compare(read_record(path, command("train")).fields, content, path)
        if is_main_process():
            write_json(path, content)

    @staticmethod
    def _compare(old: Mapping[str, Any], new: Mapping[str, Any], path: Path) -> None:
        for key, value in new.items():
            if old.get(key) != value:
                raise ValueError(
                    f"{path} says that the run began with {key}={old.get(key)!r}, now it is "
                    f"{value!r}; resume with the schedule that it began with, or begin anew in "
                    "another work dir"
                )


def _check_optimizer(runner: Runner, model: nn.Module) -> None:
    """Refuse an optimizer that leaves out what may thaw."""
    held = {
        id(parameter)
        for group in runner.optim_wrapper.optimizer.param_groups
        for parameter in group["params"]
    }
    lost = [name for name, parameter in model.named_parameters()
            if parameter.requires_grad and id(parameter) not in held]  # fmt: skip
    if lost:
        more = f" and {len(lost) - _SHOWN} more" if len(lost) > _SHOWN else ""
        raise ValueError(
            f"UnfreezeHook: the optimizer does not hold {', '.join(lost[:_SHOWN])}{more}, which "
            "would never train; let optim_wrapper's constructor give it all parameters"
        )


def _check_wrapper(wrapped: nn.Module, model: Any) -> None:
    """Refuse what several processes cannot synchronise."""
    if not isinstance(wrapped, DistributedDataParallel):
        return
    if not wrapped.find_unused_parameters:
        raise ValueError(
            "UnfreezeHook under several processes needs find_unused_parameters=True at the top of "
            "the config: frozen parameters have no gradients to wait for"
        )
    backbone = model.backbone
    if getattr(backbone, "with_cp", False) and getattr(backbone, "checkpoints_reentrantly", True):
        raise ValueError(
            f"UnfreezeHook under several processes: with_cp=True of a {type(backbone).__name__} "
            "recomputes in a way (reentrant) that find_unused_parameters=True does not allow; "
            "leave with_cp out"
        )
