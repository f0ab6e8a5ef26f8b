"""Growing a member of a stage: its parents' files become the child's."""

import time
from pathlib import Path

from mmrbdc.engine.junctions.grow_child import Growth, grow_child, identify
from mmrbdc.engine.junctions.growth_context import TrainingContext
from mmrbdc.engine.process.distributed import as_main_says
from mmrbdc.engine.stages.grown_child import child_folder, is_grown, save_child
from mmrbdc.engine.steps.step import RunnableStep
from mmrbdc.growth import get_operator
from mmrbdc.plan import Grow, Outcome
from mmrbdc.runs.cost import COST_FILE, Cost
from mmrbdc.seeding import derive_seed


class GrowStep(RunnableStep[Grow]):
    """Grow a child once, into its file; one grown otherwise or without a file is grown again."""

    @property
    def inputs(self) -> list[Path]:
        """The parents' files."""
        return [self.protocol_run.member(parent) for parent in self.spec.parents]

    @property
    def outputs(self) -> list[Path]:
        """The child's file and its records."""
        folder = child_folder(self.setup, self.spec.child)
        return [folder / name for name in ("child.pth", "growth.json", COST_FILE)]

    def done(self) -> bool:
        """Whether the child waits in its file, made as the method asks."""
        return is_grown(self.setup, self.spec.child, self.inputs, self._how)

    def outcome(self) -> Outcome:
        """What it spent."""
        cost = Cost.read(child_folder(self.setup, self.spec.child))
        return Outcome(0.0 if cost is None else cost.flops)

    def run(self) -> None:
        """Grow it in the main process.

        Raises:
            FamilyError, GrowthError, WeightsError: parents that cannot be read or do not fit.
        """
        as_main_says(self._grow)

    @property
    def _how(self) -> Growth:
        return Growth(
            operator=self.spec.operator,
            seed=derive_seed("growth", self.protocol_run.seed, self.setup.index, self.spec.child),
            depth_operator=self.protocol_run.protocol.depth_operator,
            resize_positions=True,
            options=dict(self.spec.options),
        )

    def _grow(self) -> None:
        setup, child, log = self.setup, self.spec.child, self.protocol_run.logger
        begun = time.monotonic()
        how = self._how
        context = None
        if get_operator(how.operator).work is not None:
            context = TrainingContext(setup.config, how.seed)
        grown = grow_child(
            setup.architecture, [identify(path) for path in self.inputs], how, context
        )
        save_child(grown, setup, child, how)
        flops = 0 if context is None else context.flops
        wall_s = time.monotonic() - begun
        cost = Cost("grow", setup.index, (child,), setup.hash, flops, wall_s=wall_s)
        cost.write(child_folder(setup, child))
        spent = f" with {flops / 1e9:.3g} GFLOPs" if flops else ""
        log.info(f"{setup.row.name}, member {child}, grown{spent}")
        for parent in grown.parents:
            if parent.changes:
                log.info(f"{parent.name}, before it is grown: {', '.join(parent.changes)}")
        for line in grown.result.report.summary_lines():
            log.info(line)
