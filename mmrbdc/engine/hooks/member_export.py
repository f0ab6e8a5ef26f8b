"""Members leave their stage as plain files."""

from pathlib import Path
from typing import Any

from mmengine.config import ConfigDict
from mmengine.dist import is_main_process
from mmengine.hooks import EMAHook, Hook
from mmengine.runner import Runner

from mmrbdc.engine.evaluation.scoring import member_scores, score
from mmrbdc.engine.hooks.ledger import LedgerHook
from mmrbdc.engine.hooks.wall_clock import WallClockHook
from mmrbdc.engine.inputs.data_record import run_record
from mmrbdc.models.siblings import Siblings
from mmrbdc.models.wrappers import unwrapped
from mmrbdc.registry import HOOKS
from mmrbdc.runs.cost import Cost
from mmrbdc.runs.work_dir import member_file
from mmrbdc.versions import versions
from mmrbdc.weights import WeightsError, check_numbers, save_member, write_json
from mmrbdc.wording import counted


@HOOKS.register_module()
class MemberExportHook(Hook):
    """At the end of a stage write every member's ``members/<i>.pth``, ``stage.json`` and the run's
    ``cost.json``.

    The files say what they were trained on, too: mean, std, channel order and size of the images,
    and the names of the classes (:class:`mmrbdc.weights.DataRecord`). A member with weights that
    are NaN or infinite is an error, and no file of the run is written.

    Args:
        folder: where ``members/`` is.
        weights: ``'raw'``, or ``'ema'`` for the moving average that an ``EMAHook`` keeps.
        meta: what every file says of itself (name, method, family, architecture, stage,
            config_hash).
        parents: SHA-256 of each member's parents.
        parents_flops: training FLOPs of each member's parents.
    """

    leaves_weights = True
    priority = "VERY_LOW"  # after the last checkpoint

    def __init__(
        self,
        folder: str,
        weights: str,
        meta: dict[str, Any],
        parents: list[list[str]],
        parents_flops: list[float],
    ) -> None:
        self.folder = Path(folder)
        self.weights = weights
        self.meta = ConfigDict(meta).to_dict()
        self.parents = parents
        self.parents_flops = parents_flops

    def before_train(self, runner: Runner) -> None:
        """Find out before the stage, not after it, that nobody keeps the weights asked for."""
        self._siblings(runner)

    def after_train(self, runner: Runner) -> None:
        """Score what the files will hold, then write them (rank 0).

        Raises:
            WeightsError: a member has NaN or infinite weights.
        """
        siblings = self._siblings(runner)
        for position, index in enumerate(siblings.indices):
            check_numbers(
                siblings.member_state_dict(position),
                f"member {index} of {self.folder}, not written",
            )
        top1, scores = self._scores(runner, siblings)
        if not is_main_process():
            return
        ledger = next(hook for hook in runner.hooks if isinstance(hook, LedgerHook))
        clock = next(hook for hook in runner.hooks if isinstance(hook, WallClockHook))
        trained_on = run_record(runner).to_meta()
        for position, (index, seed) in enumerate(
            zip(siblings.indices, siblings.seeds, strict=True)
        ):
            meta = dict(
                self.meta,
                **trained_on,
                member=index,
                seed=seed,
                weights=self.weights,
                parents=self.parents[position],
                train_flops=self.parents_flops[position] + ledger.member_flops[position],
                accuracy={"val/top1": scores[position]},
                versions=versions(),
            )
            save_member(member_file(self.folder, index), siblings.member_state_dict(position), meta)
        summary = dict(
            config_hash=self.meta["config_hash"],
            members=siblings.indices,
            samples=ledger.samples,
            iters=runner.iter,
            flops=ledger.stage_flops,
            wall_s=clock.wall_s,
            top1=top1,
            member_top1=scores,
        )
        write_json(Path(runner.work_dir) / "stage.json", summary)
        cost = Cost(
            "train",
            self.meta["stage"],
            tuple(siblings.indices),
            self.meta["config_hash"],
            float(sum(ledger.trained)),
            ledger.samples,
            runner.iter,
            clock.wall_s,
        )
        cost.write(Path(runner.work_dir))
        runner.logger.info(
            f"wrote {counted(len(siblings.indices), 'member file')} to {self.folder / 'members'}"
        )

    def _siblings(self, runner: Runner) -> Siblings:
        if self.weights == "raw":
            return unwrapped(runner.model)
        for hook in runner.hooks:
            if isinstance(hook, EMAHook):
                return hook.ema_model.module
        raise WeightsError(
            "protocol.parents is 'ema', but no EMAHook runs: add dict(type='EMAHook', "
            "momentum=...) to custom_hooks or set protocol.parents='raw'"
        )

    def _scores(
        self, runner: Runner, siblings: Siblings
    ) -> tuple[float | None, list[float] | list[None]]:
        """Top-1 of the ensemble and of each member, of the weights that are written.

        Validation under an EMAHook scores the average; raw weights are then scored here.
        """
        averaged = any(isinstance(hook, EMAHook) for hook in runner.hooks)
        if averaged and self.weights == "raw" and runner.cfg.get("val_dataloader"):
            metrics = score(siblings, runner.cfg)
            return metrics["accuracy/top1"], member_scores(metrics, siblings)
        ledger = next(hook for hook in runner.hooks if isinstance(hook, LedgerHook))
        last = ledger.last_validation
        return last.get("top1"), last.get("members", [None] * len(siblings.indices))
