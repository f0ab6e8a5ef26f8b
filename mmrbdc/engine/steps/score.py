"""Scoring a junction: children before their first step, beside their parents."""

import time
from pathlib import Path

from mmengine.dist import is_main_process

from mmrbdc.engine.junctions.scores import score_junction
from mmrbdc.engine.stages.grown_child import child_folder, read_child
from mmrbdc.engine.steps.step import RunnableStep
from mmrbdc.plan import Outcome, Score
from mmrbdc.runs.cost import WRITTEN_BY, Cost
from mmrbdc.runs.junction import Junction, is_scored, read_junction, write_junction


class ScoreStep(RunnableStep[Score]):
    """Write ``junction.json``; without a validation split there is nothing to score."""

    @property
    def inputs(self) -> list[Path]:
        """The children's files and their parents'."""
        children = [child_folder(self.setup, i) / "child.pth" for i in self.setup.members]
        parents = [self.protocol_run.member(one) for group in self.spec.parents for one in group]
        return [*children, *dict.fromkeys(parents)]

    @property
    def outputs(self) -> list[Path]:
        """The scores."""
        return [self.setup.folder / "junction.json"]

    def done(self) -> bool:
        """Whether these children have been scored."""
        return is_scored(self.outputs[0], WRITTEN_BY, self.fingerprint)

    def outcome(self) -> Outcome:
        """The children's accuracies."""
        if not self.done():
            return Outcome(top1=(None,) * len(self.setup.members))
        members = len(self.setup.members)
        found = read_junction(self.outputs[0], WRITTEN_BY, members)
        return Outcome(top1=tuple(one.child for one in found.children))

    def run(self) -> None:
        """Score all of them on the validation split."""
        setup, run = self.setup, self.protocol_run
        if not setup.config.get("val_dataloader"):
            run.logger.info(f"{setup.row.name}: no val_dataloader, the junction is not scored")
            return
        begun = time.monotonic()
        before = [run.stages[group[0].stage] for group in self.spec.parents]
        result = score_junction(
            run.run_config(setup, setup.members, [read_child(setup, i) for i in setup.members]),
            [run.run_config(stage, stage.members) for stage in before],
            [[run.member(one) for one in group] for group in self.spec.parents],
        )
        for index, scores in enumerate(result):
            run.logger.info(
                f"junction to {setup.row.name}, child {index}: parents "
                + ", ".join(f"{top1:.2f}" for top1 in scores.parents)
                + f"; their ensemble {scores.ensemble:.2f}"
                + f"; child before its first step {scores.child:.2f}"
                + (
                    f" ({scores.at_parents_size:.2f} at its parents' size)"
                    if scores.at_parents_size is not None
                    else ""
                )
            )
        if is_main_process():
            wall_s = time.monotonic() - begun
            cost = Cost("score", setup.index, tuple(setup.members), setup.hash, 0, wall_s=wall_s)
            cost.write(setup.folder / "junction")
            junction = Junction(run.spent_before(setup), tuple(result))
            write_junction(self.outputs[0], setup.hash, junction)
