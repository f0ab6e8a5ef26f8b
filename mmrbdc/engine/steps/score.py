"""Scoring a junction: children before their first step, beside their parents."""

import json
import time
from pathlib import Path

from mmengine.dist import is_main_process

from mmrbdc.engine.junctions.scores import score_junction
from mmrbdc.engine.stages.grown_child import child_folder, read_child
from mmrbdc.engine.steps.step import RunnableStep
from mmrbdc.plan import Outcome, Score
from mmrbdc.runs.cost import Cost
from mmrbdc.weights import write_json


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
        (path,) = self.outputs
        return path.is_file() and json.loads(path.read_text())["config_hash"] == self.setup.hash

    def outcome(self) -> Outcome:
        """The children's accuracies."""
        if not self.done():
            return Outcome(top1=(None,) * len(self.setup.members))
        children = json.loads(self.outputs[0].read_text())["children"]
        return Outcome(top1=tuple(entry["child"] for entry in children))

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
        for index, entry in enumerate(result):
            run.logger.info(
                f"junction to {setup.row.name}, child {index}: parents "
                + ", ".join(f"{top1:.2f}" for top1 in entry["parents"])
                + f"; their ensemble {entry['ensemble']:.2f}"
                + f"; child before its first step {entry['child']:.2f}"
            )
        if is_main_process():
            wall_s = time.monotonic() - begun
            cost = Cost("score", setup.index, tuple(setup.members), setup.hash, 0, wall_s=wall_s)
            cost.write(setup.folder / "junction")
            flops = run.spent_before(setup)
            content = dict(config_hash=setup.hash, flops=flops, children=result)
            write_json(self.outputs[0], content)
