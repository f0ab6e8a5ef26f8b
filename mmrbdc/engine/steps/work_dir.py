"""Whether a protocol may run in a work dir, and what it notes there first."""

import copy
import json
from collections.abc import Sequence
from typing import Any

from mmengine.dist import barrier, get_world_size, is_main_process

from mmrbdc.datasets import check_config_data
from mmrbdc.engine.checks.first_step import check_topk
from mmrbdc.engine.checks.loop_parts import check_loops
from mmrbdc.engine.configs.fingerprint import differences, listed
from mmrbdc.engine.cost.disk import check_room, disk_line, protocol_bytes
from mmrbdc.engine.inputs.loading_errors import list_by_rules
from mmrbdc.engine.inputs.real_batch import batch_warnings, data_warnings
from mmrbdc.engine.inputs.train_files import KEY, changed_files, training_files
from mmrbdc.engine.process.distributed import as_main_says, prepare_distributed
from mmrbdc.engine.process.lock import lock_folder
from mmrbdc.engine.stages.members_apart import check_part
from mmrbdc.engine.steps.protocol_run import ProtocolRun
from mmrbdc.plan import PlanError, plan_lines
from mmrbdc.runs.cost import WRITTEN_BY, costs_in
from mmrbdc.runs.records import read_record
from mmrbdc.runs.work_dir import FORMAT
from mmrbdc.weights import write_json

_MEMBERS = "stage*/members/*.pth"


def begin(run: ProtocolRun, stage: int | None, members: Sequence[int] | None) -> None:
    """Check everything that can be checked before the first step, then enter the work dir.

    Args:
        run: of the protocol.
        stage: the only one to run, if any.
        members: of that stage, the only ones to train, if any.

    Raises:
        ConfigError, DataError, PlanError: what is wrong, and what to do.
    """
    check_loops(run.cfg, splits=("test",))
    prepare_distributed(run.cfg)
    remarks = check_config_data(run.cfg)
    for setup in run.stages:
        check_topk(setup.config, "val", "test")
    check_part(run.protocol, run.stages, stage, members)
    as_main_says(lambda: lock_folder(run.work_dir, shared=members is not None))
    needed = protocol_bytes(run.cfg, run.plan)
    as_main_says(lambda: check_room(run.work_dir, needed, run.name))
    enter_work_dir(run, part=stage is not None)
    run.logger.info(disk_line(needed))
    for line in [*plan_lines(run.plan, run.least_plan), *list_by_rules(copy.deepcopy(run.cfg))]:
        run.logger.info(line)
    samples, declared = run.plan.feed.samples, run.protocol.train_samples
    for line in [
        *batch_warnings(run.cfg),
        *data_warnings(samples, declared, get_world_size(), run.cfg.filename or "CONFIG"),
        *remarks,
    ]:
        run.logger.warning(line)


def enter_work_dir(run: ProtocolRun, part: bool) -> None:
    """Check what a work dir holds, and write ``plan.json`` and ``protocol.py``.

    1. No weights, or none of a protocol: begin.
    2. An earlier version's: refuse.
    3. Another protocol, or other training files: refuse.
    4. This protocol, unfinished, and neither resumed nor a part of it: refuse.
    5. This protocol otherwise: go on, or find it finished.

    Args:
        run: of the protocol.
        part: whether only a stage or some members are asked for, beside other jobs of it.

    Raises:
        PlanError: what is refused, and what to do.
    """
    path = run.work_dir / "plan.json"
    trained = next(run.work_dir.rglob("*.pth"), None)
    files = training_files(run.cfg)
    contents = [setup.content for setup in run.stages]
    if run.resume and not trained:
        run.logger.info(f"nothing to resume in {run.work_dir}: starting anew")
    if path.is_file() and trained:  # a run that left no weights is simply begun anew
        _check(run, read_record(path, WRITTEN_BY).fields, contents, files, part)
    elif any(not costs_in(member.parents[1]) for member in run.work_dir.glob(_MEMBERS)):
        raise _of_another_version(run)
    barrier()
    if is_main_process():
        plan = dict(run.plan.to_dict(), seed=run.seed, fingerprints=contents, **{KEY: files})
        plan["format"] = FORMAT
        if run.cfg.filename:
            plan["config"] = str(run.cfg.filename)
        write_json(path, plan)
        run.cfg.dump(str(run.work_dir / "protocol.py"))


def note_plan(run: ProtocolRun) -> None:
    """Bring ``plan.json`` to what was found on the way, and say it in the log."""
    path = run.work_dir / "plan.json"
    if is_main_process():
        fields = read_record(path, WRITTEN_BY).fields
        write_json(path, {**fields, **run.plan.to_dict()})
    for line in plan_lines(run.plan, run.least_plan):
        run.logger.info(line)
    barrier()


def _check(
    run: ProtocolRun,
    old: dict[str, Any],
    contents: list[dict[str, Any]],
    files: dict[str, Any],
    part: bool,
) -> None:
    if old.get("format") != FORMAT:
        raise _of_another_version(run)
    changed = differences(old["fingerprints"], json.loads(json.dumps(contents)), "stages")
    if changed:
        raise PlanError(
            f"{run.work_dir} holds another protocol; it differs in{listed(changed)}\n"
            "Choose another --work-dir, or give the options that it was started with"
        )
    if other := changed_files(old, files, run.work_dir):
        raise PlanError(other)
    if run.protocol.progression is None:
        sure = [setup for setup in run.stages if setup.index not in run.protocol.may_skip]
        begun = any(setup.missing() for setup in sure)
    else:  # what the stages are is known only from what the searches have found
        begun = not (run.work_dir / f"{run.name}.json").is_file()
    if begun and not run.resume and not part:
        raise PlanError(
            f"{run.work_dir} holds an unfinished run of this protocol; add --resume "
            "to go on, or choose another --work-dir"
        )


def _of_another_version(run: ProtocolRun) -> PlanError:
    return PlanError(
        f"{run.work_dir} was written by another version of mmrbdc: finish it with that one, or "
        "choose another --work-dir to start anew; a finished one can be tested, compared and "
        "used as a backbone as it is"
    )
