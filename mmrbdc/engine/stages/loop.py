"""Training loops that go on in the middle of an epoch."""

import math

import torch
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmrbdc.engine.inputs.loading_errors import loading_errors_in_words
from mmrbdc.registry import LOOPS


@LOOPS.register_module()
class ResumableLoop(EpochBasedTrainLoop):
    """MMEngine's ``EpochBasedTrainLoop`` that goes on in the middle of an epoch.

    The next batch comes next; those before it are not loaded again, for which the loader's samples
    must be replayable (:func:`mmrbdc.datasets.loading.replay.replayable`). A run resumed after an
    epoch that was due to be validated validates it first, since the checkpoint of an epoch is
    written before its validation.

    Args: as for MMEngine's loop.
    """

    validates_on_resume = True

    def run(self) -> torch.nn.Module:
        """Train to the end, from where the checkpoint left off if there was one."""
        self.runner.call_hook("before_train")
        if self._epoch > 0 and self._iter <= self._epoch * len(self.dataloader):
            self._validate_if_due()
        while self._epoch < self._max_epochs and not self.stop_training:
            self.run_epoch()
            self._validate_if_due()
        self.runner.call_hook("after_train")
        return self.runner.model

    def run_epoch(self) -> None:
        """One epoch, or what of it is left, as far as it lies before ``max_iters``."""
        self.runner.call_hook("before_train_epoch")
        self.runner.model.train()
        done = max(0, self._iter - self._epoch * len(self.dataloader))
        if done:
            loader = self.dataloader
            batches = loader.sampler if loader.batch_size else loader.batch_sampler
            batches.skip(done * (loader.batch_size or batches.batch_size))
        end = self._max_iters - self._epoch * len(self.dataloader)
        if done < min(end, len(self.dataloader)):
            for idx, data_batch in enumerate(self.dataloader, done):
                self.run_iter(idx, data_batch)
                # To its end where it has one: a batch sampler is left as the next epoch expects it.
                if idx + 1 == end < len(self.dataloader):
                    break
        self.runner.call_hook("after_train_epoch")
        self._epoch += 1

    def _validate_if_due(self) -> None:
        self._decide_current_val_interval()
        due = self._epoch % self.val_interval == 0 or self._epoch == self._max_epochs
        if self.runner.val_loop is not None and self._epoch >= self.val_begin and due:
            self.runner.val_loop.run()


@LOOPS.register_module()
class StageLoop(ResumableLoop):
    """Epochs, but a length in iterations: the last epoch may be a part of one.

    Args:
        max_iters: the stage's length in iterations.
        val_begin: first epoch to validate.
        val_interval: epochs between validations; the last epoch is always validated.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: dict,
        max_iters: int,
        val_begin: int = 1,
        val_interval: int = 1,
    ) -> None:
        super().__init__(
            runner, dataloader, max_epochs=1, val_begin=val_begin, val_interval=val_interval
        )
        self._max_iters = max_iters
        self._max_epochs = math.ceil(max_iters / len(self.dataloader))

    def run(self) -> torch.nn.Module:
        """Train to ``max_iters``.

        Raises:
            DataError: an image that cannot be read.
            WorkerDied: a data worker was killed.
        """
        with loading_errors_in_words(lambda: f"iteration {self.iter} of the stage"):
            return super().run()
