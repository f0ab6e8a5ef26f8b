"""What children score before their first step, beside their parents and the parents' ensemble."""

from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config

from mmrbdc.engine.evaluation.scoring import member_scores, score
from mmrbdc.models.siblings import Siblings
from mmrbdc.registry import MODELS
from mmrbdc.runs.junction import ChildScores
from mmrbdc.weights import load_strict, read_checkpoint


def score_junction(
    run: Config,
    parent_runs: Sequence[Config],
    parents: Sequence[Sequence[Path]],
) -> list[ChildScores]:
    """Score parents, ensembles and grown children on the validation split.

    Each model sees the images at the size that its own stage trains on; where the preprocessor
    makes it and it differs, the children are scored at their parents' as well.

    Args:
        run: the coming stage's run config, its members' initialisers included.
        parent_runs: the run config of the stage that each child has its parents from.
        parents: the files of each child's parents.

    Returns:
        Of each child.
    """
    children = MODELS.build(run.model)
    children.init_weights()
    child_scores = member_scores(score(children, run), children)
    sizes = {one.model.get("image_size") for one in parent_runs}
    before = sizes.pop() if len(sizes) == 1 else None
    at_parents_size: Sequence[float | None] = [None] * len(child_scores)
    if before != run.model.get("image_size"):
        children.data_preprocessor.image_size = before
        at_parents_size = member_scores(score(children, run), children)
    del children
    result = []
    for paths, parent_run, child, before in zip(
        parents, parent_runs, child_scores, at_parents_size, strict=True
    ):
        family = Siblings(
            parent_run.model["member"],
            seeds=range(len(paths)),
            image_size=parent_run.model.get("image_size"),
        )
        for member, path in zip(family.members, paths, strict=True):
            load_strict(member, read_checkpoint(path).state_dict, source=str(path))
        metrics = score(family, parent_run)
        result.append(
            ChildScores(
                tuple(member_scores(metrics, family)), metrics["accuracy/top1"], child, before
            )
        )
    return result
