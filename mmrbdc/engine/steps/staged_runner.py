"""The runner of a protocol: it asks the method for the next step, and runs it, until the end."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from mmengine.config import Config
from mmengine.dist import barrier
from mmengine.registry import DefaultScope

from mmrbdc.engine.checks.settings import check_parts
from mmrbdc.engine.configs.custom_imports import import_custom
from mmrbdc.engine.configs.scope import drop_scope
from mmrbdc.engine.evaluation.classifier import score_final
from mmrbdc.engine.process.distributed import as_main_says, prepare_distributed
from mmrbdc.engine.process.signals import listening, stop_if_requested
from mmrbdc.engine.stages.members_apart import check_before, part_of
from mmrbdc.engine.steps.make_step import make_step
from mmrbdc.engine.steps.protocol_run import ProtocolRun
from mmrbdc.engine.steps.step import RunnableStep
from mmrbdc.engine.steps.work_dir import begin, note_plan
from mmrbdc.methods import get_method
from mmrbdc.plan import Outcome, PlanError, Publish, Step
from mmrbdc.registry import RUNNERS
from mmrbdc.shipped import command

_runs = itertools.count(1)
"""MMEngine finds scopes by a name that must not come back."""


@RUNNERS.register_module()
class StagedRunner:
    """Train a protocol: plan it, run the steps of its method, publish the final model.

    Built by ``RUNNERS.build(cfg)`` from a config with ``runner_type='mmrbdc.StagedRunner'``,
    ``stages`` and ``protocol``. A step that is finished never runs again. A work dir that holds
    part of a protocol goes on only with ``resume=True``, and only if the protocol is the same.

    Args:
        cfg: the staged config, with ``work_dir`` set. The protocol is named after the config file,
            or after the work dir.
    """

    def __init__(self, cfg: Config) -> None:
        if cfg.get("load_from"):
            raise PlanError(
                "load_from has no meaning in a staged config: a stage takes its weights from "
                "the one before it"
            )
        check_parts(cfg, "model", "train_dataloader", "train_cfg", "optim_wrapper")
        drop_scope(cfg)
        import_custom(cfg)
        self.protocol_run = ProtocolRun(cfg)
        DefaultScope.get_instance(
            f"{self.protocol_run.name}-{next(_runs)}", scope_name="mmpretrain"
        )

    @classmethod
    def from_cfg(cls, cfg: Config) -> "StagedRunner":
        """Build from a config, as MMEngine's registry does."""
        return cls(cfg)

    def train(self, stage: int | None = None, members: Sequence[int] | None = None) -> Path | None:
        """Run the steps that are not finished.

        Args:
            stage: run those of this stage only, whose parents must be finished.
            members: of that stage, only these, as a run of their own, beside those of others.

        Returns:
            The final model's file, or ``None`` where only a part was asked for.
        """
        begin(self.protocol_run, stage, members)
        with listening():
            self._run_steps(stage, members)
        return (
            None
            if stage is not None
            else self.protocol_run.work_dir / f"{self.protocol_run.name}.pth"
        )

    def _run_steps(self, stage: int | None, members: Sequence[int] | None) -> None:
        run, outcomes = self.protocol_run, dict[Step, Outcome]()
        method = get_method(run.protocol.method)
        while (step := method.next_step(run.protocol.stages, outcomes)) is not None:
            if stage is not None and (step.stage > stage or isinstance(step, Publish)):
                return
            whole = make_step(run, step, outcomes)
            part = step if stage is None else part_of(step, stage, members)
            if part == step:
                self._run_unless_done(whole)
            elif part is not None:
                self._run_unless_done(make_step(run, part, outcomes))
            elif stage is not None:
                check_before(step, whole.setup, stage)
            outcomes[step] = as_main_says(whole.outcome)
            if run.settle(outcomes):
                note_plan(run)

    @staticmethod
    def _run_unless_done(step: RunnableStep) -> None:
        stop_if_requested()
        if as_main_says(step.done):
            step.tell_done()
            return
        step.check_inputs()
        step.run()
        barrier()

    def test(
        self, checkpoint: str | None = None, weights: Literal["raw", "ema"] | None = None
    ) -> dict[str, float]:
        """Metrics on the test split, of the final model or of another file of its architecture."""
        run = self.protocol_run
        path = Path(checkpoint) if checkpoint else run.work_dir / f"{run.name}.pth"
        if not path.is_file():
            trained = command("train", run.cfg.filename or "CONFIG", "--work-dir", run.work_dir)
            how = "name another file" if checkpoint else f"make it with: {trained}"
            raise PlanError(f"{path} does not exist; {how}")
        prepare_distributed(run.cfg)
        return score_final(run.cfg, run.protocol, path, weights, self._remark)

    def _remark(self, line: str) -> None:
        self.protocol_run.logger.warning(line)  # which makes the log's file
