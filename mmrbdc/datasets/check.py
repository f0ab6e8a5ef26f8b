"""Look at the data before anything is built: missing, empty, or not what the head expects.

Only what the files themselves say is looked at, no image is opened: this takes seconds where
reading the data set takes minutes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmrbdc.datasets.configs import (
    LOADERS,
    find_datasets,
    find_evaluators,
    is_remote,
    missing,
    stated_classes,
)
from mmrbdc.datasets.detection.config import CocoOfConfig
from mmrbdc.datasets.detection.pipelines import check_pipelines
from mmrbdc.datasets.errors import DataError
from mmrbdc.datasets.folders.check import check_folders
from mmrbdc.datasets.folders.dataset import ours_for
from mmrbdc.datasets.numbering import FILE_ORDER, SORTED, numbering_problem
from mmrbdc.wording import counted, quoted


def check_config_data(cfg: Mapping) -> list[str]:
    """Check all loaders of a config: see ``check_data``, that the splits have the same classes,
    that evaluators score against annotations of the images that are tested, and that a detector's
    pipelines load what it learns from.

    Args:
        cfg: an MMEngine config with ``model`` and any of ``{train,val,test}_dataloader``. Every
            ``num_classes`` in ``model`` and ``data_preprocessor`` is compared with the data.

    Returns:
        What is worth knowing, such as files that are left out; a line each.

    Raises:
        DataError: with the place and the next step.
    """
    coco = CocoOfConfig(cfg)
    num_classes = dict(_find_num_classes({k: cfg.get(k) for k in ("model", "data_preprocessor")}))
    found: list[_Classes] = []
    remarks: list[str] = []
    for split in LOADERS:
        name = f"{split}_dataloader"
        if cfg.get(name):
            classes, lines = _check_loader(name, cfg[name], num_classes, coco)
            found += classes
            remarks += [line for line in lines if line not in remarks]
            _compare_numbering(found)
    for one in found:
        _compare_with_heads(one, num_classes)
    for split in LOADERS[1:]:
        for key, evaluator in find_evaluators(cfg, split):
            ann_file = evaluator.get("ann_file")
            if ann_file and not is_remote(ann_file) and not Path(ann_file).is_file():
                option = f"{key}.ann_file"
                raise DataError(missing(option, "file", Path(ann_file), option))
    coco.tell_shared()
    coco.check_evaluators()
    check_pipelines(cfg)
    return remarks + coco.remarks


def check_data(
    dataloader: Mapping,
    *,
    name: str = "train_dataloader",
    num_classes: Mapping[str, int] | None = None,
) -> tuple[str, ...] | None:
    """Check that the data of a loader is there, is not empty, and has the model's classes.

    Looks through wrappers. Knows MMPretrain's ``CustomDataset`` and ``ImageNet`` and MMDetection's
    ``CocoDataset``; of other types it says nothing, and neither of data on remote storage.

    Args:
        dataloader: Config of the loader.
        name: its name in the config, for messages.
        num_classes: for config keys, such as ``model.head.num_classes``, the classes they state.

    Returns:
        The class names; None where the files do not tell.

    Raises:
        DataError: with the place and the next step.
    """
    coco = CocoOfConfig({name: dataloader})
    found, _ = _check_loader(name, dataloader, num_classes or {}, coco)
    _compare_numbering(found)
    for one in found:
        _compare_with_heads(one, num_classes or {})
    return found[-1].names if found else None


@dataclass(frozen=True)
class _Classes:
    """Class names of the data set at ``key``, in the order of their numbers, and what numbers them;
    ``only_stated``: the files do not hold them.
    """

    key: str
    names: tuple[str, ...]
    numbered_by: str = SORTED
    only_stated: bool = False


def _check_loader(
    name: str, dataloader: Mapping, num_classes: Mapping[str, int], coco: CocoOfConfig
) -> tuple[list[_Classes], list[str]]:
    """The data sets of a loader whose classes are known, and what is worth knowing."""
    found: list[_Classes] = []
    remarks: list[str] = []
    for key, dataset in find_datasets(f"{name}.dataset", dataloader["dataset"]):
        if ours_for(dataset.get("type")) is not None:
            classes, lines = check_folders(key, dataset, num_classes)
            remarks += [line for line in lines if line not in remarks]
            stated = stated_classes(dataset)
            if classes is not None:
                found.append(_Classes(key, classes))
            elif stated is not None:
                found.append(_Classes(key, stated, only_stated=True))
        elif key in coco.uses and (names := coco.check(key)) is not None:
            found.append(_Classes(key, names, FILE_ORDER))
    coco.check_training(name)
    return found, remarks


def _compare_numbering(found: Sequence[_Classes]) -> None:
    known = [one for one in found if not one.only_stated]
    for one in known[1:]:
        problem = numbering_problem(
            known[0].key, known[0].names, one.key, one.names, one.numbered_by
        )
        if problem:
            raise DataError(problem)


def _compare_with_heads(classes: _Classes, num_classes: Mapping[str, int]) -> None:
    count = len(classes.names)
    wrong = {k: n for k, n in num_classes.items() if n != count}
    if wrong:
        stated = ", ".join(f"{k}={n}" for k, n in wrong.items())
        options = " ".join(f"{k}={count}" for k in wrong)
        raise DataError(
            f"{classes.key} has {counted(count, 'class')} ({quoted(classes.names)}), but the "
            f"config says {stated}; correct the data's place, or set --cfg-options {options}"
        )


def _find_num_classes(node: object, key: str = "") -> Iterator[tuple[str, int]]:
    if isinstance(node, Mapping):
        parts = [(str(name), part) for name, part in node.items()]
    elif isinstance(node, list | tuple):
        parts = [(str(number), part) for number, part in enumerate(node)]
    else:
        return
    for name, part in parts:
        inner = f"{key}.{name}" if key else name
        if name == "num_classes" and isinstance(part, int):
            yield inner, part
        else:
            yield from _find_num_classes(part, inner)
