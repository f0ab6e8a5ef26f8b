"""What a protocol's runner knows of its stages before and after they run."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import get_world_size

from mmrbdc.config_errors import told_as_config_error
from mmrbdc.datasets.loading.rules import build_dataset
from mmrbdc.engine.checks.object_trial import try_stage
from mmrbdc.engine.configs.fingerprint import fingerprint, hash_of
from mmrbdc.engine.configs.run_config import run_config
from mmrbdc.engine.configs.stage_view import stage_configs
from mmrbdc.engine.cost.plan_inputs import plan_inputs
from mmrbdc.families import Architecture, architecture_from_config
from mmrbdc.plan import Grow, Plan, PlanRow, Protocol, make_plan
from mmrbdc.registry import DATA_SAMPLERS
from mmrbdc.runs.cost import costs_below
from mmrbdc.runs.work_dir import is_finished, member_file


@dataclass(frozen=True)
class StageSetup:
    """What the runner knows of one stage.

    Args:
        index: 0 for the narrowest.
        row: its row of the plan.
        config: the staged config as the stage sees it.
        architecture: of its members.
        content: what decides its members' weights.
        hash: of ``content``.
        folder: where it runs.
    """

    index: int
    row: PlanRow
    config: Config
    architecture: Architecture
    content: dict[str, Any]
    hash: str
    folder: Path

    @property
    def members(self) -> list[int]:
        """All members' numbers."""
        return list(range(self.row.members))

    def member(self, index: int) -> Path:
        """The file of one member."""
        return member_file(self.folder, index)

    def average(self, index: int) -> Path:
        """The file of one member's moving average, where the protocol keeps one."""
        return self.folder / "average" / f"{index}.pth"

    def missing(self) -> list[int]:
        """Members that are not finished yet; all of a run that was killed before its last file."""
        costs = costs_below(self.folder, self.hash)
        recorded = {i for cost in costs if cost.step == "train" for i in cost.members}
        return [
            i
            for i in self.members
            if not is_finished(self.folder, i, self.hash) or i not in recorded
        ]


def samples_on_data(cfg: Config) -> int:
    """Samples of an epoch over all processes, of the data set that is there."""
    loader = cfg.train_dataloader
    with told_as_config_error("train_dataloader.dataset", loader.dataset):
        dataset = build_dataset(loader.dataset)
    with told_as_config_error("train_dataloader.sampler", loader.get("sampler")):
        sampler = DATA_SAMPLERS.build(
            dict(loader.get("sampler") or dict(type="DefaultSampler"), seed=0),
            default_args=dict(dataset=dataset),
        )
    return len(sampler) * get_world_size()


def plan_on_data(cfg: Config, protocol: Protocol, samples: int | None = None) -> Plan:
    """The plan for the processes that run and so many samples an epoch; for those of the data set
    that is there where none are given.
    """
    samples = samples_on_data(cfg) if samples is None else samples
    inputs = plan_inputs(
        cfg,
        protocol,
        samples=samples,
        batch_size=cfg.train_dataloader.batch_size * get_world_size(),
        options=cfg.get("cfg_options"),
    )
    return make_plan(protocol, **inputs)


def set_up_stages(cfg: Config, plan: Plan, seed: int, work_dir: Path) -> list[StageSetup]:
    """All stages of a plan, with the hashes that tie each to the ones before.

    Raises:
        ConfigError: a part of a stage's config of which nothing can be built.
    """
    setups: list[StageSetup] = []
    for index, (row, config, run) in enumerate(stage_runs(cfg, plan, seed)):
        try_stage(run, config.model, plan.feed.iters_per_epoch)
        content = fingerprint(run, setups[-1].hash if setups else None, get_world_size())
        setups.append(
            StageSetup(
                index=index,
                row=row,
                config=config,
                architecture=architecture_from_config(config.model),
                content=content,
                hash=hash_of(content),
                folder=work_dir / row.name,
            )
        )
    return setups


def stage_runs(cfg: Config, plan: Plan, seed: int) -> Iterator[tuple[PlanRow, Config, Config]]:
    """Of every stage its row of the plan, the staged config as it sees it, and the config of its
    run with all members; data are not looked at.
    """
    protocol = plan.protocol
    configs = stage_configs(cfg, protocol, cfg.get("cfg_options"))
    for index, (config, row) in enumerate(zip(configs, plan.rows, strict=True)):
        operator = _operator(protocol, index) if index else None
        run = run_config(
            config,
            stage_index=index,
            row=row,
            iters_per_epoch=plan.feed.iters_per_epoch,
            warmup=protocol.warmup_of(index),
            seed=seed,
            indices=range(row.members),
            grown=_made(protocol, index, operator, row.members),
            **stage_parts(protocol, plan, index),
        )
        yield row, config, run


def stage_parts(protocol: Protocol, plan: Plan, index: int) -> dict[str, Any]:
    """What the config of a stage's run takes from its stage, see ``configs.run_config``."""
    stage, last = protocol.stages[index], index == len(protocol.stages) - 1
    return dict(
        frozen=stage.frozen,
        part=plan.part_of(index),
        image_size=stage.resized_to,
        search=stage.search,
        average=None if last else protocol.average,
    )


def _made(
    protocol: Protocol, index: int, operator: dict[str, Any] | None, members: int
) -> list[dict[str, Any] | None]:
    """How each member of a stage is made, with the options of its own."""
    options = {
        step.child: dict(step.options)
        for step in protocol.steps
        if isinstance(step, Grow) and step.stage == index and step.options
    }
    return [
        dict(operator, options=options[i]) if operator and i in options else operator
        for i in range(members)
    ]


def _operator(protocol: Protocol, index: int) -> dict[str, Any]:
    """What decides how a stage's members are made of their parents; the paper's rule says nothing
    beyond the operator.
    """
    operator: dict[str, Any] = dict(
        operator=protocol.operators[index - 1], parents=protocol.parents
    )
    if protocol.stages[index - 1].depth != protocol.stages[index].depth:
        operator["depth_operator"] = protocol.depth_operator
    if protocol.progression is not None:
        operator["mogrow"] = protocol.progression.mogrow
    return operator
