"""The runner of a protocol: one ordinary MMEngine run per stage, growth between them."""

import copy
import itertools
import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from mmengine.config import Config
from mmengine.dist import barrier, get_world_size, is_main_process
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope

from mmrbdc.datasets import check_config_data
from mmrbdc.engine.checks.first_step import check_first_step, check_topk
from mmrbdc.engine.checks.loop_parts import check_loops
from mmrbdc.engine.checks.settings import check_parts
from mmrbdc.engine.configs.custom_imports import import_custom
from mmrbdc.engine.configs.fingerprint import differences, listed
from mmrbdc.engine.configs.plain_model import copy_plain_config, write_plain_config
from mmrbdc.engine.configs.run_config import dump, run_config, test_config
from mmrbdc.engine.configs.scope import drop_scope
from mmrbdc.engine.configs.stage_view import stage_config
from mmrbdc.engine.evaluation.scoring import score
from mmrbdc.engine.hooks.checkpoint import newest_readable_checkpoint
from mmrbdc.engine.hooks.reading import ReadingHook
from mmrbdc.engine.inputs.data_record import parents_trained_otherwise
from mmrbdc.engine.inputs.loading_errors import list_by_rules
from mmrbdc.engine.inputs.real_batch import batch_warnings, data_warnings
from mmrbdc.engine.inputs.train_files import KEY, changed_files, training_files
from mmrbdc.engine.junctions.grow_child import Growth
from mmrbdc.engine.junctions.scores import score_junction
from mmrbdc.engine.process.close_run import close_run
from mmrbdc.engine.process.distributed import prepare_distributed
from mmrbdc.engine.process.lock import lock_folder
from mmrbdc.engine.process.signals import listening, stop_if_requested
from mmrbdc.engine.stages.members_apart import chosen_members, merge_curves, run_folder
from mmrbdc.engine.stages.stage_growth import GrownChild, grown_children
from mmrbdc.engine.stages.stage_hooks import protocol_hooks
from mmrbdc.engine.stages.stage_setup import StageSetup, plan_on_data, read_ledger, set_up_stages
from mmrbdc.engine.steps.staged_checks import check_staged
from mmrbdc.engine.training.resumed_run import end_logged
from mmrbdc.engine.training.runner import StageRunner
from mmrbdc.methods import get_method, parse_protocol
from mmrbdc.models.siblings import Siblings
from mmrbdc.plan import Plan, PlanError, plan_lines
from mmrbdc.registry import RUNNERS
from mmrbdc.seeding import derive_seed
from mmrbdc.shipped import command
from mmrbdc.versions import versions
from mmrbdc.weights import load_strict, publish, read_checkpoint, read_model, write_json
from mmrbdc.wording import counted

# MMEngine finds scopes, message hubs, logs and visualizers by a name and, at best, the second.
_runs = itertools.count(1)


@RUNNERS.register_module()
class StagedRunner:
    """Train a protocol: plan it, run its stages, grow at the junctions, publish the final model.

    Built by ``RUNNERS.build(cfg)`` from a config with ``runner_type='mmrbdc.StagedRunner'``,
    ``stages`` and ``protocol``. Members that are finished are never trained again. A work dir that
    holds part of a protocol goes on only with ``resume=True``, and only if the protocol is the
    same.

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
        self.cfg = cfg
        self.work_dir = Path(cfg.work_dir)
        self.name = Path(cfg.filename).stem if cfg.filename else self.work_dir.name
        self.resume = bool(cfg.get("resume"))
        import_custom(cfg)
        self.protocol = parse_protocol(cfg, name=self.name)
        check_staged(cfg, self.protocol)
        self.seed = cfg.get("randomness", {}).get("seed") or 0
        DefaultScope.get_instance(f"{self.name}-{next(_runs)}", scope_name="mmpretrain")

    @classmethod
    def from_cfg(cls, cfg: Config) -> "StagedRunner":
        """Build from a config, as MMEngine's registry does."""
        return cls(cfg)

    @cached_property
    def logger(self) -> MMLogger:
        """The protocol's own log, ``<work_dir>/protocol.log``."""
        return MMLogger.get_instance(
            f"{self.name}-{next(_runs)}",
            logger_name="mmrbdc",
            log_file=str(self.work_dir / "protocol.log"),
            log_level=self.cfg.get("log_level", "INFO"),
            file_mode="a",
        )

    @cached_property
    def plan(self) -> Plan:
        """The plan with the numbers of the data set and the processes that are really there."""
        return plan_on_data(self.cfg, self.protocol)

    @cached_property
    def stages(self) -> list[StageSetup]:
        """All stages, with the hashes that tie each to the ones before."""
        return set_up_stages(self.cfg, self.plan, self.seed, self.work_dir)

    def train(self, stage: int | None = None, members: Sequence[int] | None = None) -> Path | None:
        """Run what is not finished yet.

        Args:
            stage: run this stage only, whose parents must be finished.
            members: of that stage, only these, as a run of their own, beside those of others.

        Returns:
            The final model's file, or ``None`` where only a part was asked for.
        """
        if members is not None and stage is None:
            raise PlanError("--member needs --stage: members are numbered within their stage")
        check_loops(self.cfg, splits=("test",))
        prepare_distributed(self.cfg)
        remarks = check_config_data(self.cfg)
        for setup in self.stages:
            check_topk(setup.config, "val", "test")
        contents = [setup.content for setup in self.stages]
        lock_folder(self.work_dir, shared=members is not None)
        self._enter_work_dir(contents, part=stage is not None)
        for line in [*plan_lines(self.plan), *list_by_rules(copy.deepcopy(self.cfg))]:
            self.logger.info(line)
        samples, declared = self.plan.feed.samples, self.protocol.train_samples
        for line in [
            *batch_warnings(self.cfg),
            *data_warnings(samples, declared, get_world_size(), self.cfg.filename or "CONFIG"),
            *remarks,
        ]:
            self.logger.warning(line)
        with listening():
            if stage is not None:
                self._train_part(stage, members)
                return None
            for setup in self.stages:
                self._train_stage(setup, setup.missing())
            return self._publish()

    def _train_part(self, stage: int, members: Sequence[int] | None) -> None:
        indices = chosen_members(self.stages, stage, members)
        setup = self.stages[stage]
        if members is None:
            self._train_stage(setup, indices)
        elif indices:
            self._run_stage(setup, indices)
        else:
            self.logger.info(f"{setup.row.name}: these members are finished")

    def _train_stage(self, setup: StageSetup, missing: list[int]) -> None:
        if setup.index:
            self._score_junction(setup)
        stop_if_requested()
        if missing:
            self._run_stage(setup, missing)
        else:
            self.logger.info(
                f"{setup.row.name}: all of {counted(setup.row.members, 'member')} finished"
            )
        if is_main_process():
            merge_curves(setup, self._spent_before(setup))

    def test(
        self, checkpoint: str | None = None, weights: Literal["raw", "ema"] | None = None
    ) -> dict[str, float]:
        """Metrics on the test split, of the final model or of another file of its architecture."""
        path = Path(checkpoint) if checkpoint else self.work_dir / f"{self.name}.pth"
        if not path.is_file():
            trained = command("train", self.cfg.filename or "CONFIG", "--work-dir", self.work_dir)
            how = "name another file" if checkpoint else f"make it with: {trained}"
            raise PlanError(f"{path} does not exist; {how}")
        prepare_distributed(self.cfg)
        run = test_config(
            stage_config(self.cfg, self.protocol.stages[-1], self.cfg.get("cfg_options"))
        )
        for line in check_config_data(run):
            self.logger.warning(line)
        siblings = Siblings(run.model, seeds=[0])
        load_strict(
            siblings.members[0], read_model(path, weights=weights).state_dict, source=str(path)
        )
        metrics = score(siblings, run, "test")
        return {name: value for name, value in metrics.items() if not name.startswith("member")}

    def _enter_work_dir(self, contents: list[dict[str, Any]], part: bool) -> None:
        path = self.work_dir / "plan.json"
        trained = next(self.work_dir.rglob("*.pth"), None)
        files = training_files(self.cfg)
        if self.resume and not trained:
            self.logger.info(f"nothing to resume in {self.work_dir}: starting anew")
        if path.is_file() and trained:  # a run that left no weights is simply begun anew
            old = json.loads(path.read_text())
            changed = differences(old["fingerprints"], json.loads(json.dumps(contents)), "stages")
            if changed:
                raise PlanError(
                    f"{self.work_dir} holds another protocol; it differs in{listed(changed)}\n"
                    "Choose another --work-dir, or give the options that it was started with"
                )
            if other := changed_files(old, files, self.work_dir):
                raise PlanError(other)
            begun = any(setup.missing() for setup in self.stages)
            if begun and not self.resume and not part:
                raise PlanError(
                    f"{self.work_dir} holds an unfinished run of this protocol; add --resume "
                    "to go on, or choose another --work-dir"
                )
        barrier()
        if is_main_process():
            plan = dict(self.plan.to_dict(), seed=self.seed, fingerprints=contents, **{KEY: files})
            if self.cfg.filename:
                plan["config"] = str(self.cfg.filename)
            write_json(path, plan)
            self.cfg.dump(str(self.work_dir / "protocol.py"))

    def _run_config(
        self, setup: StageSetup, indices: list[int], children: Sequence[GrownChild] = ()
    ) -> Config:
        grown = [dict(type="mmrbdc.Grown", file=str(child.file)) for child in children]
        return run_config(
            setup.config,
            stage_index=setup.index,
            row=setup.row,
            iters_per_epoch=self.plan.feed.iters_per_epoch,
            warmup=self.protocol.warmup if setup.index else None,
            seed=self.seed,
            indices=indices,
            grown=grown or [None] * len(indices),
        )

    def _children(self, setup: StageSetup) -> list[GrownChild]:
        """All members of a stage as they were grown; none in the first."""
        if not setup.index:
            return []
        how = [
            Growth(
                operator=self.protocol.operators[setup.index - 1],
                seed=derive_seed("growth", self.seed, setup.index, index),
                depth_operator=self.protocol.depth_operator,
                resize_positions=True,
            )
            for index in setup.members
        ]
        parents = [self._parents(setup, index) for index in setup.members]
        return grown_children(setup, parents, how, self.logger)

    def _parents(self, setup: StageSetup, index: int) -> list[Path]:
        before = self.stages[setup.index - 1]
        narrow, wide = (self.protocol.stages[one.index] for one in (before, setup))
        method = get_method(self.protocol.method)
        return [before.member(i) for i in method.parents(narrow, wide, index)]

    def _score_junction(self, setup: StageSetup) -> None:
        path = setup.folder / "junction.json"
        if not setup.config.get("val_dataloader"):
            self.logger.info(f"{setup.row.name}: no val_dataloader, the junction is not scored")
            return
        if path.is_file() and json.loads(path.read_text()).get("config_hash") == setup.hash:
            return
        before = self.stages[setup.index - 1]
        result = score_junction(
            self._run_config(setup, setup.members, self._children(setup)),
            self._run_config(before, before.members),
            [self._parents(setup, index) for index in setup.members],
        )
        for index, entry in enumerate(result):
            self.logger.info(
                f"junction to {setup.row.name}, child {index}: parents "
                + ", ".join(f"{top1:.2f}" for top1 in entry["parents"])
                + f"; their ensemble {entry['ensemble']:.2f}"
                + f"; child before its first step {entry['child']:.2f}"
            )
        if is_main_process():
            write_json(
                path,
                dict(config_hash=setup.hash, flops=self._spent_before(setup), children=result),
            )

    def _run_stage(self, setup: StageSetup, indices: list[int]) -> None:
        folder = run_folder(setup, indices)
        if folder != setup.folder:
            lock_folder(folder)
        grown = self._children(setup)
        children = [grown[index] for index in indices] if grown else []
        cfg = self._run_config(setup, indices, children)
        cfg.work_dir = str(folder)
        cfg.experiment_name = f"{self.name}-{setup.row.name}-{next(_runs)}"
        records = {parent.path: parent.data for child in children for parent in child.parents}
        for line in parents_trained_otherwise(cfg, records):
            self.logger.warning(line)
        cfg.custom_hooks = [
            *cfg.get("custom_hooks", []),
            *protocol_hooks(cfg, self.plan, setup, indices, children, self._spent_before(setup)),
        ]
        cfg.resume = False
        if is_main_process():
            dump(cfg, folder)
            write_plain_config(setup.config, cfg, setup.folder)
        newest = newest_readable_checkpoint(folder, self.logger)
        if newest is not None and not self.resume:
            raise PlanError(
                f"{folder} holds an unfinished run ({newest.name}); add --resume to go on, or "
                "choose another --work-dir"
            )
        if newest is not None:
            cfg.load_from, cfg.resume = str(newest), True
        self.logger.info(
            f"stage {setup.index + 1} of {len(self.stages)}: {setup.row.name}, "
            f"{setup.architecture.label}, member{'s' * (len(indices) > 1)} "
            f"{', '.join(map(str, indices))}, {setup.row.epochs:.2f} epochs"
            + (f", resumed from {newest}" if newest else "")
        )
        runner = StageRunner.from_cfg(cfg)
        runner.register_hook(ReadingHook())
        for line in check_first_step(runner, schedules=False):
            self.logger.warning(line)
        with end_logged(runner, take_sigterm=False):
            runner.train()
        close_run(runner)
        barrier()
        if is_main_process():
            write_json(self.work_dir / "ledger.json", read_ledger(self.stages))
        barrier()

    def _spent_before(self, setup: StageSetup) -> float:
        return sum(entry["flops"] for entry in read_ledger(self.stages[: setup.index])["stages"])

    def _publish(self) -> Path:
        last = self.stages[-1]
        final = read_checkpoint(last.member(0))
        stem = self.work_dir / self.name
        if is_main_process():
            ledger = read_ledger(self.stages)
            write_json(self.work_dir / "ledger.json", ledger)
            meta = dict(
                final.meta,
                stages=[
                    dict(
                        members=row.members,
                        width=row.width,
                        depth=row.depth,
                        img_size=list(row.img_size or []),
                        epochs=row.epochs,
                        flops=float(row.flops),
                    )
                    for row in self.plan.rows
                ],
                train_flops=ledger["total_flops"],
                wall_s=sum(entry["wall_s"] for entry in ledger["stages"]),
                seed=self.seed,
                versions=versions(),
            )
            publish(stem, final.state_dict, meta)
            copy_plain_config(last.folder, self.work_dir)
            top1 = final.meta["accuracy"].get("val/top1")
            self.logger.info(
                f"{self.name}: {ledger['total_flops'] / 1e12:.3f} TFLOPs in all, "
                f"{ledger['total_flops'] / self.plan.reference.flops:.1%} of the reference, "
                f"val top-1 {'not validated' if top1 is None else f'{top1:.2f} %'}; "
                f"wrote {stem}.pth, .safetensors, .json"
            )
        barrier()
        return Path(f"{stem}.pth")
