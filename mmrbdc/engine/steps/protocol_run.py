"""What all steps of one run of a protocol share."""

import itertools
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from mmengine.config import Config
from mmengine.logging import MMLogger

from mmrbdc.engine.configs.run_config import run_config
from mmrbdc.engine.stages.grown_child import GrownChild
from mmrbdc.engine.stages.stage_setup import (
    StageSetup,
    plan_on_data,
    samples_on_data,
    set_up_stages,
    stage_parts,
)
from mmrbdc.engine.steps.staged_checks import check_staged
from mmrbdc.methods import parse_protocol, settled
from mmrbdc.plan import Member, Outcome, Plan, Step
from mmrbdc.runs.cost import costs_below, flops_of
from mmrbdc.runs.ledger import Ledger, StageSpent
from mmrbdc.shipped import command

_runs = itertools.count(1)
"""MMEngine finds loggers by a name that must not come back."""


class ProtocolRun:
    """A protocol as it runs in a work dir.

    Args:
        cfg: the staged config, with ``work_dir`` set. The protocol is named after the config file,
            or after the work dir.

    Raises:
        ConfigError, PlanError: what is wrong with the config.
    """

    def __init__(self, cfg: Config) -> None:
        self.cfg = cfg
        self.work_dir = Path(cfg.work_dir)
        self.name = Path(cfg.filename).stem if cfg.filename else self.work_dir.name
        self.resume = bool(cfg.get("resume"))
        self.protocol = self._parsed = parse_protocol(cfg, name=self.name)
        self._smallest = settled(self._parsed, {}, largest=False)
        check_staged(cfg, self.protocol)
        self.seed = cfg.get("randomness", {}).get("seed") or 0

    @cached_property
    def logger(self) -> MMLogger:
        """The protocol's own log, ``<work_dir>/protocol.log``."""
        return MMLogger.get_instance(
            f"{self.name}-protocol-{next(_runs)}",
            logger_name="mmrbdc",
            log_file=str(self.work_dir / "protocol.log"),
            log_level=self.cfg.get("log_level", "INFO"),
            file_mode="a",
        )

    @cached_property
    def plan(self) -> Plan:
        """The plan with the numbers of the data set and the processes that are really there."""
        return plan_on_data(self.cfg, self.protocol, self._samples)

    @property
    def least_plan(self) -> Plan | None:
        """The plan if all searches to come find their smallest; ``None`` if all is decided."""
        if self._smallest == self.protocol:
            return None
        return plan_on_data(self.cfg, self._smallest, self._samples)

    @cached_property
    def _samples(self) -> int:
        return samples_on_data(self.cfg)

    @cached_property
    def stages(self) -> list[StageSetup]:
        """All stages, with the hashes that tie each to the ones before."""
        return set_up_stages(self.cfg, self.plan, self.seed, self.work_dir)

    def settle(self, outcomes: Mapping[Step, Outcome]) -> bool:
        """Let what was found on the way decide the stages to come; whether anything changes."""
        ends = [settled(self._parsed, outcomes, largest=largest) for largest in (True, False)]
        if ends == [self.protocol, self._smallest]:
            return False
        self.protocol, self._smallest = ends
        for derived in ("plan", "stages"):
            self.__dict__.pop(derived, None)
        return True

    def train_command(self) -> str:
        """What goes on with it, for a shell."""
        return command(
            "train", self.cfg.filename or "CONFIG", "--work-dir", self.work_dir, "--resume"
        )

    def member(self, member: Member) -> Path:
        """The file of a trained member."""
        return self.stages[member.stage].member(member.index)

    def run_config(
        self, setup: StageSetup, indices: Sequence[int], children: Sequence[GrownChild] = ()
    ) -> Config:
        """The config of a stage's run of some members, see ``configs.run_config``."""
        grown = [dict(type="mmrbdc.Grown", file=str(child.file)) for child in children]
        return run_config(
            setup.config,
            stage_index=setup.index,
            row=setup.row,
            iters_per_epoch=self.plan.feed.iters_per_epoch,
            warmup=self.protocol.warmup_of(setup.index),
            seed=self.seed,
            indices=indices,
            grown=grown or [None] * len(indices),
            **stage_parts(self.plan.protocol, self.plan, setup.index),
        )

    def spent_before(self, setup: StageSetup) -> float:
        """Training FLOPs that the steps of all stages before one have spent."""
        before = self.stages[: setup.index]
        return sum(flops_of(costs_below(one.folder, one.hash)) for one in before)

    def ledger(self) -> Ledger:
        """The sum of what all finished steps have spent."""
        spent = [
            StageSpent.of(one.row.name, one.row.members, costs_below(one.folder, one.hash))
            for one in self.stages
        ]
        return Ledger(tuple(stage for stage in spent if stage is not None))
