"""The moving average of a model that grows."""

from pathlib import Path
from typing import Any

from mmengine.config import ConfigDict
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.model import ExponentialMovingAverage
from mmengine.runner import Runner

from mmrbdc.models.siblings import Siblings
from mmrbdc.models.wrappers import unwrapped
from mmrbdc.registry import HOOKS
from mmrbdc.weights import load_strict, read_checkpoint, save_member

_KEY = "moving_average"


@HOOKS.register_module()
class MovingAverageHook(Hook):
    """Keep one moving average of weights and statistics, beside the model that is trained.

    Unlike MMEngine's ``EMAHook`` it never takes the model's place: the model is validated and
    exported itself. The average is in every checkpoint; a stage may begin with that of the stage
    before, grown by the same map.

    Args:
        decay: of the average: ``decay`` times the old one, the rest of the new weights, after every
            iteration.
        file: where the member's average is written at the end.
        meta: of that file.
        initial: file of the average to begin with; ``None`` begins with the model's weights.

    Raises:
        WeightsError: the initial average does not fit.
    """

    leaves_weights = True
    priority = "NORMAL"  # before whoever judges by it and before checkpoints

    def __init__(
        self, decay: float, file: str, meta: dict[str, Any], initial: str | None = None
    ) -> None:
        self.decay = decay
        self.file = Path(file)
        self.meta = ConfigDict(meta).to_dict()
        self.initial = initial
        self._average: ExponentialMovingAverage | None = None
        self._resumed: dict[str, Any] | None = None

    @property
    def siblings(self) -> Siblings:
        """The averaged model."""
        assert self._average is not None
        return self._average.module

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Take the average of a checkpoint."""
        self._resumed = checkpoint.get(_KEY)

    def before_train(self, runner: Runner) -> None:
        """Begin with the checkpoint's, the file's or the model's."""
        model = unwrapped(runner.model)
        self._average = ExponentialMovingAverage(model, 1 - self.decay, update_buffers=True)
        self._average.steps.fill_(1)  # at 0 MMEngine copies the model instead of averaging
        if self._resumed is not None:
            self._average.load_state_dict(self._resumed)
        elif self.initial is not None:
            member = self.siblings.members[0]
            load_strict(member, read_checkpoint(self.initial).state_dict, source=self.initial)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Average once more."""
        assert self._average is not None
        self._average.update_parameters(unwrapped(runner.model))

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Put the average into the checkpoint."""
        if self._average is not None:
            checkpoint[_KEY] = self._average.state_dict()

    def after_train(self, runner: Runner) -> None:
        """Write the member's average."""
        if is_main_process():
            save_member(self.file, self.siblings.member_state_dict(0), self.meta)
