"""Whether a checkpoint numbers its classes as the data do that it is to be used on.

A head's outputs have no names. MMEngine writes the classes of the training data into a checkpoint's
``meta`` and compares them with nothing when it is tested, or begun from.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmrbdc.registry import HOOKS
from mmrbdc.weights import WeightsError
from mmrbdc.wording import quoted


def classes_of_meta(meta: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The classes that a checkpoint's ``meta`` names; None where it names none."""
    data = meta.get("dataset_meta")
    for place in (data if isinstance(data, Mapping) else {}, meta):
        for key in ("classes", "CLASSES"):
            if isinstance(found := place.get(key), list | tuple):
                return tuple(str(name) for name in found)
    return None


def class_problem(theirs: Sequence[str], ours: Sequence[str]) -> tuple[str | None, str | None]:
    """Compare a checkpoint's classes with those of the data.

    Returns:
        What is certainly wrong, a class that both have under different numbers; and what may be
        right, another name under the same number. None for none.
    """
    numbers = {name: number for number, name in enumerate(theirs)}
    moved = [name for n, name in enumerate(ours) if numbers.get(name, n) != n]
    if moved:
        name, here = moved[0], list(ours).index(moved[0])
        return (
            f"it has its classes in another order: {name!r} is number {numbers[name]} there and "
            f"{here} in the data ({quoted(theirs)} there, {quoted(ours)} in the data), so that "
            "outputs would bear wrong names"
        ), None
    pairs = zip(theirs, ours, strict=False)
    other = [(n, *pair) for n, pair in enumerate(pairs) if pair[0] != pair[1]]
    if not other:
        return None, None
    number, learned, given = other[0]
    return None, (
        f"{len(other):,} of its {len(theirs):,} classes have other names than in the data: number "
        f"{number} is {learned!r} there and {given!r} in the data"
    )


def check_tested_classes(source: str, meta: Mapping[str, Any], runner: Runner) -> list[str]:
    """Compare a checkpoint's classes with those of a runner's test data.

    Returns:
        A line where names differ that may mean the same.

    Raises:
        WeightsError: a class has another number than when the checkpoint was trained.
    """
    theirs, ours = classes_of_meta(meta), _classes_of_loop(runner.test_loop)
    if theirs is None or ours is None:
        return []
    wrong, odd = class_problem(theirs, ours)
    if wrong:
        raise WeightsError(
            f"{source}: {wrong}. Bring the classes of the config, and the categories of the "
            "annotations, into the checkpoint's order"
        )
    return [f"{source}: {odd}"] if odd else []


@HOOKS.register_module()
class BegunClassesHook(Hook):
    """Say that a run begins (``load_from``) from a head that was trained on other classes.

    It will learn the new ones, from a worse start than from none, so this stops nothing.
    """

    leaves_weights = True

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare the classes where the heads have the same number of them."""
        theirs, ours = classes_of_meta(checkpoint.get("meta") or {}), None
        if theirs is not None and not runner._resume:
            ours = _classes_of_loop(runner.train_loop)
        if theirs is None or ours is None or len(theirs) != len(ours):
            return
        for problem in class_problem(theirs, ours):
            if problem:
                runner.logger.warning(
                    f"load_from: {problem}; its head begins with what it learned of those"
                )


def _classes_of_loop(loop: Any) -> tuple[str, ...] | None:
    metainfo = getattr(loop.dataloader.dataset, "metainfo", None)
    return classes_of_meta(metainfo) if isinstance(metainfo, Mapping) else None
