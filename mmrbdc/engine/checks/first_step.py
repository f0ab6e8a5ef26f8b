"""What loaders, evaluators and schedules add up to, before the first step is taken.

How many batches an epoch has, how many images the last of them, whether the metrics can be
computed: all of it is known once the data sets are built, and MMEngine says it after an epoch, if
at all.
"""

import copy
import math
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dist import get_world_size
from mmengine.runner import BaseLoop, IterBasedTrainLoop, Runner
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import DataLoader, IterableDataset

from mmrbdc.config_parts import type_name
from mmrbdc.datasets import DataError
from mmrbdc.datasets.configs import find_evaluators
from mmrbdc.models.wrappers import unwrapped

_NOTHING_LEFT = "need at least one array to concatenate"
"""What numpy tells MMEngine's data set of which nothing is left after its filter."""
_ONE_VALUE = "Expected more than 1 value per channel"
_TOPK_METRICS = ("MultiLabelMetric", "VOCMultiLabel")


def check_first_step(runner: Runner, *, schedules: bool = True) -> list[str]:
    """Check a built runner's loops of training and validation; builds their data sets.

    Args:
        runner: which has not run yet.
        schedules: whether to look at the schedules as well; a stage's follow its length.

    Returns:
        What is odd but runs.

    Raises:
        DataError: no step would be taken, no image validated, or a batch of one image meets a
            BatchNorm that then has one value per channel.
    """
    loop = _built(runner, "train")
    loader = loop.dataloader
    batches = Batches.of("train_dataloader", loader)
    _check_some(batches, "not one step would be taken")
    if loop.max_iters < 1:
        raise DataError(f"train_cfg makes {loop.max_iters} iterations: not one step would be taken")
    if batches is not None and batches.has_single(loop.max_iters):
        _check_single(runner, batches)
    warnings = []
    if runner.val_loop is not None:
        warnings += _check_scored(_built(runner, "val"), "val_dataloader", "validated")
        warnings += _never_validated(loop)
    if schedules:
        warnings += _schedules(runner.cfg, loop)
    return warnings


def check_test_loader(runner: Runner) -> list[str]:
    """Check a built runner's test loop; see :func:`check_first_step`."""
    return _check_scored(_built(runner, "test"), "test_dataloader", "tested")


def check_topk(cfg: Mapping[str, Any], *splits: str) -> None:
    """Refuse accuracies among more classes than there are; builds nothing.

    Args:
        cfg: with a ``model`` whose head says ``num_classes``.
        splits: whose evaluators to look at: ``'val'``, ``'test'``.

    Raises:
        ValueError: names the option.
    """
    model = cfg.get("model") or {}
    classes = (model.get("head") or {}).get("num_classes")
    found = [
        (f"{key}.topk", evaluator.get("topk"), classes)
        for split in splits
        for key, evaluator in find_evaluators(cfg, split)
        if type_name(evaluator).endswith(("Accuracy", *_TOPK_METRICS))
    ]
    if "val" in splits:
        found += [
            (f"{key}.topk", head.get("topk"), head.get("num_classes", classes))
            for key, head in _dicts(model, "model")
            if head.get("cal_acc")
        ]
    for key, topk, number in found:
        ranks = topk if isinstance(topk, list | tuple) else [topk]
        ranks = [rank for rank in ranks if isinstance(rank, int)]  # others the metric refuses
        if number is None or not ranks or max(ranks) <= number:
            continue
        kept = [rank for rank in ranks if rank <= number] or [1]
        value = str(kept).replace(" ", "")
        raise ValueError(
            f"{key}={topk} asks for the best {max(ranks)} of {number} classes; set --cfg-options "
            f"{key}={value}"
        )


def count_errors(cfg: Mapping[str, Any], images: Mapping[str, int]) -> list[str]:
    """Say which loaders of a config make no batch of so many images; builds nothing.

    Args:
        cfg: with the loaders.
        images: after the filter, of ``'train'``, ``'val'``, ``'test'``, as far as they are known.
    """
    errors = []
    for split, count in images.items():
        name = f"{split}_dataloader"
        loader = cfg.get(name) or {}
        batcher = loader.get("batch_sampler") or {}
        key = f"{name}.batch_sampler.drop_last" if batcher else f"{name}.drop_last"
        size = loader.get("batch_size", 1)
        endless = type_name(loader.get("sampler") or {}) == "InfiniteSampler"
        if (batcher or loader).get("drop_last") and count < size and not endless:
            told = _no_batch(name, count, count, size, key)
            errors.append(f"{told}: no batch at all. Set {key}=False, or {name}.batch_size")
    return errors


class Batches:
    """The batches that one process gets in an epoch.

    Attributes:
        name: of the loader in the config.
        loader: which makes them.
        images: of the data set.
        samples: that this process gets, which samplers may pad.
        size: of a full batch.
        drop_last: whether an incomplete last batch is left out.
        key: of the config that says so.
        endless: whether the sampler never ends, so that every batch is full.
    """

    def __init__(self, name: str, loader: DataLoader) -> None:
        batcher: Any = loader.batch_sampler
        own: Any = getattr(batcher, "sampler", loader.sampler)
        self.name, self.loader, self.batcher, self.sampler = name, loader, batcher, own
        self.images = len(loader.dataset)  # type: ignore[arg-type]
        self.endless = hasattr(own, "_infinite_indices")
        self.samples = len(own)
        self.size = getattr(batcher, "batch_size", None) or loader.batch_size or 1
        self.drop_last = bool(getattr(batcher, "drop_last", loader.drop_last))
        plain = type(batcher) is torch.utils.data.BatchSampler
        self.key = f"{name}.drop_last" if plain else f"{name}.batch_sampler.drop_last"
        self._simple = plain

    @classmethod
    def of(cls, name: str, loader: DataLoader) -> "Batches | None":
        """Look at a loader; None where its data set does not know its length."""
        if isinstance(loader.dataset, IterableDataset) or loader.batch_sampler is None:
            return None
        return cls(name, loader)

    @property
    def last(self) -> int:
        """Images in the last batch of an epoch."""
        if self.endless or self.drop_last or self.samples % self.size == 0:
            return self.size
        return self.samples % self.size

    @property
    def left_out(self) -> int:
        """Images of an epoch that drop_last leaves out, of this process."""
        return self.samples % self.size if self.drop_last and not self.endless else 0

    def is_empty(self) -> bool:
        """Whether an epoch has no batch at all."""
        if self.endless:
            return self.images == 0
        if self._simple or self.samples > 2 * self.size:
            return len(self.loader) == 0
        with random_state_kept():  # a sampler that groups images may leave more than one batch out
            return not list(self.batcher)

    def has_single(self, iters: int) -> bool:
        """Whether a batch of one image is met within so many iterations."""
        return self.size == 1 or (self.last == 1 and iters >= len(self.loader))


def _built(runner: Runner, split: str) -> BaseLoop:
    try:
        return getattr(runner, f"{split}_loop")
    except ValueError as error:
        if _NOTHING_LEFT not in str(error):
            raise
        raise DataError(
            f"{split}_dataloader: no image is left in the data set after its filter; look at "
            f"filter_cfg (images without boxes, images smaller than min_size) and at the classes"
        ) from None


def _check_some(batches: Batches | None, consequence: str) -> None:
    if batches is None or not batches.is_empty():
        return
    if batches.images == 0:
        raise DataError(
            f"{batches.name}: the data set has no image (after its filter): {consequence}; correct "
            "its place or its filter_cfg"
        )
    raise DataError(
        _no_batch(batches.name, batches.images, batches.samples, batches.size, batches.key)
        + f": {consequence}. Set --cfg-options {batches.key}=False, or "
        f"{batches.name}.batch_size={max(1, batches.samples // 2)}"
    )


def _no_batch(name: str, images: int, samples: int, size: int, key: str) -> str:
    processes = get_world_size()
    shared = f", {samples} for each of {processes} processes" if processes > 1 else ""
    return (
        f"{name}: the data set has {images} image{'s' * (images != 1)} after its filter{shared}; a "
        f"batch has {size}, and {key.rpartition('.')[-1]} leaves an incomplete one out"
    )


def _check_scored(loop: BaseLoop, name: str, done: str) -> list[str]:
    batches = Batches.of(name, loop.dataloader)
    _check_some(batches, f"no image would be {done}")
    if batches is None or not batches.left_out:
        return []
    return [
        f"{name}: {batches.left_out} of {batches.samples} images are not {done}, since drop_last "
        f"leaves the incomplete batch out; set --cfg-options {batches.key}=False"
    ]


def _check_single(runner: Runner, batches: Batches) -> None:
    """Let a copy of the model see one image, if it has a BatchNorm that trains."""
    found = _one_value(unwrapped(runner.model), batches)
    if found is None:
        return
    layer, size = found
    name, rest = batches.name, batches.samples % batches.size
    if batches.size == 1:
        what, how = "every batch has one image", f"{name}.batch_size=2"
    else:
        what = (
            f"the last batch of an epoch has one image ({batches.samples} = "
            f"{batches.samples // batches.size} x {batches.size} + {rest})"
        )
        how = f"{batches.key}=True"
    raise DataError(
        f"{name}: {what}, of which BatchNorm '{layer}' would see one value per channel (input "
        f"{' x '.join(map(str, size))}), and one value has no variance; set --cfg-options {how}, "
        "or another batch_size"
    )


def _one_value(model: nn.Module, batches: Batches) -> tuple[str, tuple[int, ...]] | None:
    """The layer that cannot train on one image, and the shape of its input."""
    if not any(isinstance(module, _BatchNorm) for module in model.modules()):
        return None
    seen: dict[str, Any] = {}

    def note(name: str) -> Any:
        return lambda module, inputs: seen.update(layer=name, size=tuple(inputs[0].shape))

    with random_state_kept():
        sample = batches.loader.dataset[next(iter(batches.sampler))]
        trial: Any = copy.deepcopy(model)
        trial.train()
        for name, module in trial.named_modules():
            if isinstance(module, _BatchNorm):
                module.register_forward_pre_hook(note(name))
        try:
            with torch.no_grad():
                data = trial.data_preprocessor(batches.loader.collate_fn([sample]), True)
                if isinstance(data, Mapping):
                    trial(**data, mode="loss")
                else:
                    trial(*data, mode="loss")
        except ValueError as error:
            if _ONE_VALUE in str(error):
                return seen["layer"], seen["size"]
        except Exception:
            pass  # whatever else fails fails again in the first step, with its own message
    return None


def _never_validated(loop: BaseLoop) -> list[str]:
    by_iter = isinstance(loop, IterBasedTrainLoop)
    length = loop.max_iters if by_iter else loop.max_epochs
    if loop.val_begin <= length:
        return []
    unit = "iterations" if by_iter else "epochs"
    return [
        f"train_cfg.val_begin={loop.val_begin} is beyond the run's {length} {unit}: nothing will "
        "be validated"
    ]


def _schedules(cfg: Config, loop: BaseLoop) -> list[str]:
    """Say which schedules do not fit the run's length, and whether it has one step."""
    iters, per_epoch = loop.max_iters, max(1, len(loop.dataloader))
    epochs = iters / per_epoch
    warnings = []
    accumulated = (cfg.get("optim_wrapper") or {}).get("accumulative_counts", 1)
    if accumulated > iters:
        warnings.append(
            f"optim_wrapper.accumulative_counts={accumulated} is more than the run's {iters} "
            "iterations: the weights will change once"
        )
    listed = cfg.get("param_scheduler") or []
    single = isinstance(listed, Mapping)
    if single and "type" not in listed:  # one list for each of several optimizers
        return warnings
    for number, scheduler in enumerate([listed] if single else listed):
        key = "param_scheduler" + ("" if single else f".{number}")
        by_epoch = scheduler.get("by_epoch", True)
        length, unit = (epochs, "epochs") if by_epoch else (iters, "iterations")
        length = math.ceil(length)
        name = type_name(scheduler)
        milestones = [step for step in scheduler.get("milestones") or () if step >= length]
        end = scheduler.get("end") or scheduler.get("T_max")
        if scheduler.get("begin", 0) >= length:
            told = f"begins at {scheduler['begin']}: it has no effect"
        elif milestones:
            told = f"has steps at {', '.join(map(str, milestones))}, which are never reached"
        elif end is not None and end > length:
            told = f"ends at {end}: it is cut off"
        else:
            continue
        unit = unit.removesuffix("s") if length == 1 else unit
        warnings.append(f"{key} ({name}) {told}; the run has {length} {unit}")
    return warnings


def _dicts(node: Any, key: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(node, Mapping):
        yield key, node
        for name, part in node.items():
            yield from _dicts(part, f"{key}.{name}")
    elif isinstance(node, list | tuple):
        for number, part in enumerate(node):
            yield from _dicts(part, f"{key}.{number}")


@contextmanager
def random_state_kept() -> Iterator[None]:
    """Leave Python's, numpy's and torch's generators as they were."""
    python, arrays, tensors = random.getstate(), np.random.get_state(), torch.get_rng_state()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(arrays)
        torch.set_rng_state(tensors)
        if cuda:
            torch.cuda.set_rng_state_all(cuda)
