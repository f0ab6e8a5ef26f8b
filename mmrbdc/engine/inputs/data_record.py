"""What members and parents were trained on: for the files of the children, and for agreement."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner

from mmrbdc.datasets.preprocessing import config_record
from mmrbdc.engine.inputs.image_size import input_size
from mmrbdc.growth import GrowthError
from mmrbdc.plan import PlanError
from mmrbdc.weights import DataRecord
from mmrbdc.weights.record import class_names, common_record


def run_record(runner: Runner) -> DataRecord:
    """What the members of a run are trained on, as its config and its data set have it.

    Class names that are not as many as the classifier's outputs are left out, with a warning.
    """
    record = _config_of_members(runner.cfg)
    names = class_names(getattr(runner.train_dataloader.dataset, "metainfo", {}).get("classes"))
    outputs = runner.cfg.model.member.head.get("num_classes")
    if names is not None and len(names) != outputs:
        runner.logger.warning(
            f"the data set names {len(names)} classes and the model has {outputs}: no class names "
            "are recorded in the members' files"
        )
        names = None
    return DataRecord(record.preprocessing, names)


def parents_trained_otherwise(run: Config, parents: Mapping[str, DataRecord]) -> Iterator[str]:
    """Say which parents saw images in other numbers than a stage is going to feed their children.

    Args:
        run: the stage's run config.
        parents: path of each parent and what it was trained on.
    """
    own = _config_of_members(run).preprocessing
    for path, record in parents.items():
        theirs = record.preprocessing
        if own and theirs and not own.same_numbers(theirs):
            yield (
                f"{path} was trained on images of {theirs.label}, its child gets images of "
                f"{own.label} in this stage. The weights fit the former: set data_preprocessor "
                "back unless this is meant"
            )


def record_of_parent(
    path: str, record: DataRecord, source: str, config: Config | None
) -> DataRecord:
    """What a parent was trained on: its file's word, else its config's.

    Args:
        path: of its file.
        record: what the file says.
        source: the config's name.
        config: None where none was given.

    Raises:
        GrowthError: both say something, and differently.
    """
    if config is None:
        return record
    stated = config_record(config)
    if conflicts := record.conflicts(stated):
        raise GrowthError(
            f"{path} and its config {source} differ ({'; '.join(conflicts)}); leave "
            "--parent-config out or give the right one"
        )
    return record.or_else(stated)


def record_of_child(
    parents: Mapping[str, DataRecord], config: DataRecord, different: bool
) -> tuple[DataRecord, tuple[str, ...]]:
    """What all parents of a child were trained on, and remarks for a reader.

    Args:
        parents: their records by name.
        config: what the child's config says.
        different: accept parents that differ; the child records neither.

    Raises:
        GrowthError: two parents' records differ; names both and their values.
    """
    remarks = []
    known: dict[str, DataRecord] = {}
    for name, record in parents.items():
        for other, theirs in known.items():
            if conflicts := theirs.conflicts(record):
                text = f"{other} and {name} were not trained alike ({'; '.join(conflicts)})"
                if not different:
                    raise GrowthError(
                        f"{text}: their child would fit neither. Take parents of one pretraining "
                        "data set, or accept it with --allow-different-data"
                    )
                remarks.append(f"{text}; accepted, the child records neither")
        known[name] = record
    for gap in dict.fromkeys(gap for record in parents.values() for gap in record.missing()):
        silent = [name for name, record in parents.items() if gap in record.missing()]
        if len(silent) < len(parents):
            remarks.append(f"{gap}: not in {', '.join(silent)}, so not recorded in the child")
    child = common_record(list(parents.values()))
    own, seen = config.preprocessing, child.preprocessing
    if own and seen and not own.same_numbers(seen):
        remarks.append(
            f"WARNING: the child's config gives it images of {own.label}, its parents saw "
            f"{seen.label}"
        )
    return child, tuple(remarks)


def _config_of_members(run: Mapping[str, Any]) -> DataRecord:
    """The record of a run of siblings by its config alone."""
    model = dict(run["model"]["member"])
    model["data_preprocessor"] = model.get("data_preprocessor") or {"type": "ClsDataPreprocessor"}
    cfg = dict(run, model=model)
    record = config_record(cfg)
    if record.preprocessing is None or record.preprocessing.image_size is not None:
        return record
    with suppress(PlanError):  # images of any size: then there is nothing to record
        size = input_size(Config(cfg))
        return replace(record, preprocessing=replace(record.preprocessing, image_size=size))
    return record
