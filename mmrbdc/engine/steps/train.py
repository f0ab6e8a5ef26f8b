"""Training members of a stage: one ordinary run, or what is missing of it."""

import itertools
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import barrier, is_main_process

from mmrbdc.config_parts import as_list
from mmrbdc.engine.checks.first_step import check_first_step
from mmrbdc.engine.configs.plain_model import write_plain_config
from mmrbdc.engine.configs.run_config import dump
from mmrbdc.engine.cost.disk import check_room, stages_disk
from mmrbdc.engine.hooks.checkpoint import newest_readable_checkpoint
from mmrbdc.engine.hooks.reading import ReadingHook
from mmrbdc.engine.inputs.data_record import parents_trained_otherwise
from mmrbdc.engine.process.close_run import close_run
from mmrbdc.engine.process.distributed import as_main_says
from mmrbdc.engine.process.lock import lock_folder
from mmrbdc.engine.search.found import is_searched, read_found
from mmrbdc.engine.search.judge import JudgeHook
from mmrbdc.engine.stages.grown_child import GrownChild, child_folder, read_child
from mmrbdc.engine.stages.members_apart import run_folder, uncollected_curve
from mmrbdc.engine.stages.stage_hooks import protocol_hooks
from mmrbdc.engine.steps.step import RunnableStep
from mmrbdc.engine.training.resumed_run import end_logged
from mmrbdc.engine.training.runner import StageRunner
from mmrbdc.plan import Outcome, PlanError, Search, Train
from mmrbdc.runs.cost import costs_below, flops_of
from mmrbdc.weights import read_meta, write_json
from mmrbdc.wording import counted

# MMEngine finds scopes, message hubs, logs and visualizers by a name and, at best, the second.
_runs = itertools.count(1)


class TrainStep(RunnableStep[Train]):
    """Train the members that are not finished, in lockstep, from their grown files if they have
    parents; a member that is finished is never trained again.
    """

    @property
    def inputs(self) -> list[Path]:
        """The files that its members begin with."""
        if not self._grown:
            return []
        return [child_folder(self.setup, index) / "child.pth" for index in self._missing()]

    @property
    def outputs(self) -> list[Path]:
        """The members' files."""
        return [self.setup.member(index) for index in self.spec.members]

    def done(self) -> bool:
        """Whether all members are finished, their curves collected, and a search has chosen."""
        return not self._missing() and not self._uncollected()

    def outcome(self) -> Outcome:
        """What they spent, and each one's accuracy."""
        metas = [read_meta(path) if path.is_file() else {} for path in self.outputs]
        top1 = tuple(meta.get("accuracy", {}).get("val/top1") for meta in metas)
        own = set(self.spec.members)
        spent = [
            cost
            for cost in costs_below(self.setup.folder, self.fingerprint)
            if cost.step == "train" and own & set(cost.members)
        ]
        chosen = None
        if self._search is not None:
            chosen = read_found(self.setup.folder, self.fingerprint, self._search.candidates)
        return Outcome(flops_of(spent), top1, chosen)

    def tell_done(self) -> None:
        """Say that they are finished."""
        count = len(self.setup.members)
        who = "these members are"
        if len(self.spec.members) == count:
            who = f"all of {counted(count, 'member')}"
        self.protocol_run.logger.info(f"{self.setup.row.name}: {who} finished")

    def run(self) -> None:
        """Train what is missing, then collect what was trained apart.

        Raises:
            PlanError: an unfinished run is there and resuming was not asked for.
        """
        if missing := as_main_says(self._missing):
            self._train(missing)
        if is_main_process() and (curve := self._uncollected()):
            write_json(self.setup.folder / "curve.json", curve)

    @property
    def _grown(self) -> bool:
        return self.setup.index > 0

    @property
    def _search(self) -> Search | None:
        return self.protocol_run.protocol.stages[self.setup.index].search

    def _missing(self) -> list[int]:
        if self._search is not None and not is_searched(self.setup.folder):
            return list(self.spec.members)
        return [index for index in self.setup.missing() if index in self.spec.members]

    def _uncollected(self) -> list[dict[str, Any]]:
        return uncollected_curve(self.setup, self.protocol_run.spent_before(self.setup))

    def _train(self, indices: list[int]) -> None:
        run, setup = self.protocol_run, self.setup
        own = next(one for one in stages_disk(run.cfg, run.plan) if one.name == setup.row.name)
        needed = own.left + own.passing
        as_main_says(lambda: check_room(setup.folder, needed, setup.row.name))
        folder = run_folder(setup, indices)
        if folder != setup.folder:
            as_main_says(lambda: lock_folder(folder))
        children = [read_child(setup, index) for index in indices] if self._grown else []
        cfg = self._config(folder, indices, children)
        newest = newest_readable_checkpoint(folder, run.logger)
        if newest is not None and not run.resume:
            raise PlanError(
                f"{folder} holds an unfinished run ({newest.name}); add --resume to go on, or "
                "choose another --work-dir"
            )
        if newest is not None:
            cfg.load_from, cfg.resume = str(newest), True
        run.logger.info(
            f"stage {setup.index + 1} of {len(run.stages)}: {setup.row.name}, "
            f"{setup.architecture.label}, member{'s' * (len(indices) > 1)} "
            f"{', '.join(map(str, indices))}, {setup.row.epochs:.2f} epochs"
            + (f", resumed from {newest}" if newest else "")
        )
        runner = StageRunner.from_cfg(cfg)
        runner.register_hook(ReadingHook())
        if self._search is not None:
            runner.register_hook(self._judge(self._search))
        for line in check_first_step(runner, schedules=False):
            run.logger.warning(line)
        with end_logged(runner, take_sigterm=False):
            runner.train()
        close_run(runner)
        barrier()
        if is_main_process():
            run.ledger().write(run.work_dir / "ledger.json")

    def _judge(self, search: Search) -> JudgeHook:
        run, setup, feed = self.protocol_run, self.setup, self.protocol_run.plan.feed
        points = search.points(setup.row.iters, feed.iters_per_epoch)
        return JudgeHook(
            search=search,
            prices=setup.row.candidate_flops,
            flops=setup.row.judging_flops // len(points),
            points=points,
            images=feed.samples_of(search.batches),
            config=setup.config,
            seed=run.seed,
            folder=setup.folder,
            fingerprint=setup.hash,
        )

    def _config(self, folder: Path, indices: list[int], children: list[GrownChild]) -> Config:
        run, setup = self.protocol_run, self.setup
        cfg = run.run_config(setup, indices, children)
        cfg.work_dir = str(folder)
        cfg.experiment_name = f"{run.name}-{setup.row.name}-{next(_runs)}"
        records = {parent.path: parent.data for child in children for parent in child.parents}
        for line in parents_trained_otherwise(cfg, records):
            run.logger.warning(line)
        spent = run.spent_before(setup)
        cfg.custom_hooks = [
            *as_list(cfg.get("custom_hooks")),
            *protocol_hooks(cfg, run.plan, setup, indices, children, spent),
        ]
        cfg.resume = False
        if is_main_process():
            dump(cfg, folder)
            write_plain_config(setup.config, cfg, setup.folder)
        return cfg
