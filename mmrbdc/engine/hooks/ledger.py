"""The training FLOPs of a run, counted from the samples that were really processed."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.dist import get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmrbdc.plan import Price
from mmrbdc.registry import HOOKS
from mmrbdc.weights import write_json


@HOOKS.register_module()
class LedgerHook(Hook):
    """Charge every processed sample of every member, and write accuracy over FLOPs.

    The count is in every log line (``TFLOPs``, cumulative over the protocol), in every checkpoint,
    and beside every validation in the run's ``curve.json``. One multiply-add is 2 FLOPs. After a
    kill the count goes on from the checkpoint: work that was lost is not charged.

    Args:
        price: training FLOPs (forward and backward) of a sample, as (iteration, one figure per
            member): each holds from its iteration on.
        flops_before: FLOPs spent by the stages before this one.
        flops_once: one-off FLOPs of this stage's junction, one figure per member; default none.
    """

    leaves_weights = True
    priority = "ABOVE_NORMAL"  # before the logger, so that its lines carry the count

    def __init__(
        self,
        price: Sequence[tuple[int, Sequence[int]]],
        flops_before: float = 0.0,
        flops_once: Sequence[float] = (),
    ) -> None:
        self.price = Price(tuple((since, tuple(figures)) for since, figures in price))
        self.flops_before = flops_before
        self.flops_once = list(flops_once) or [0.0] * self.price.members
        self.samples = 0
        self.trained = [0] * self.price.members
        self._curve: list[dict[str, Any]] = []

    @property
    def member_flops(self) -> list[float]:
        """FLOPs of this stage so far, one figure per member."""
        return [once + own for once, own in zip(self.flops_once, self.trained, strict=True)]

    @property
    def stage_flops(self) -> float:
        """FLOPs of this stage so far, all members."""
        return sum(self.trained) + sum(self.flops_once)

    @property
    def flops(self) -> float:
        """FLOPs of the protocol so far."""
        return self.flops_before + self.stage_flops

    @property
    def last_validation(self) -> dict[str, Any]:
        """The newest point of the curve, empty when nothing was validated."""
        return self._curve[-1] if self._curve else {}

    def before_train(self, runner: Runner) -> None:
        """Go on from the checkpoint's count."""
        resumed = runner.iter > 0  # a new run may meet the message hub of one before it
        hub, nothing = runner.message_hub, [0] * self.price.members
        if resumed and hub.get_info("ledger_flops") is None:
            raise ValueError(
                f"the checkpoint that {runner.work_dir} goes on from does not say what its members "
                "spent, as those of another version of mmrbdc: finish the run with that one, or "
                "choose another --work-dir"
            )
        self.samples = hub.get_info("ledger_samples", 0) if resumed else 0
        self.trained = list(hub.get_info("ledger_flops", nothing)) if resumed else nothing
        path = self._curve_path(runner)
        if resumed and path.is_file():
            self._curve = [p for p in json.loads(path.read_text()) if p["iter"] <= runner.iter]

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Charge one batch on every rank."""
        samples = len(data_batch["data_samples"]) * get_world_size()
        self.samples += samples
        figures = self.price.at(runner.iter)
        self.trained = [
            own + figure * samples for own, figure in zip(self.trained, figures, strict=True)
        ]
        runner.message_hub.update_info("ledger_samples", self.samples)
        runner.message_hub.update_info("ledger_flops", list(self.trained))
        runner.message_hub.update_scalar("train/TFLOPs", self.flops / 1e12)

    def charge(self, runner: Runner, flops: int) -> None:
        """Charge FLOPs that are spent beside training, to the first member."""
        self.trained = [self.trained[0] + flops, *self.trained[1:]]
        runner.message_hub.update_info("ledger_flops", list(self.trained))

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Add a point to ``curve.json``."""
        if not metrics or "accuracy/top1" not in metrics:
            return
        members = [value for name, value in metrics.items() if name.startswith("member")]
        point = dict(
            epoch=runner.epoch,
            iter=runner.iter,
            flops=self.flops,
            top1=metrics["accuracy/top1"],
            members=members or [metrics["accuracy/top1"]],
        )
        self._curve = [p for p in self._curve if p["iter"] < runner.iter] + [point]
        if is_main_process():
            write_json(self._curve_path(runner), self._curve)

    @staticmethod
    def _curve_path(runner: Runner) -> Path:
        return Path(runner.work_dir) / "curve.json"
