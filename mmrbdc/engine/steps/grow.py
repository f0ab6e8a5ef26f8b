"""Growing a member of a stage: its parents' files become the child's."""

import time
from dataclasses import replace
from pathlib import Path

from mmrbdc.engine.junctions.grow_child import GrownFile, Growth, grow_child, identify
from mmrbdc.engine.junctions.growth_context import TrainingContext
from mmrbdc.engine.process.distributed import as_main_says
from mmrbdc.engine.stages.grown_child import AVERAGE_FILE, child_folder, is_grown, save_child
from mmrbdc.engine.steps.step import RunnableStep
from mmrbdc.growth import get_operator
from mmrbdc.growth.parents.depth import block_sources, new_blocks
from mmrbdc.growth.parents.mogrow import mogrow
from mmrbdc.plan import Grow, Outcome
from mmrbdc.runs.cost import COST_FILE, Cost
from mmrbdc.seeding import derive_seed


class GrowStep(RunnableStep[Grow]):
    """Grow a child once, into its file; one grown otherwise or without a file is grown again."""

    @property
    def inputs(self) -> list[Path]:
        """The parents' files, and their moving averages where the protocol keeps them."""
        run = self.protocol_run
        averages = [run.stages[one.stage].average(one.index) for one in self.spec.parents]
        return [*self._parents, *(averages if self._averages else [])]

    @property
    def outputs(self) -> list[Path]:
        """The child's file and its records."""
        folder = child_folder(self.setup, self.spec.child)
        names = ["child.pth", "growth.json", COST_FILE]
        return [folder / name for name in [*names, *([AVERAGE_FILE] if self._averages else [])]]

    @property
    def _parents(self) -> list[Path]:
        return [self.protocol_run.member(parent) for parent in self.spec.parents]

    @property
    def _averages(self) -> bool:
        return self.protocol_run.plan.protocol.average is not None

    def done(self) -> bool:
        """Whether the child waits in its file, made as the method asks."""
        if not is_grown(self.setup, self.spec.child, self._parents, self._how):
            return False
        return not self._averages or self.outputs[-1].is_file()

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
            setup.architecture, [identify(path) for path in self._parents], how, context
        )
        average = self._grown_average(grown) if self._averages else None
        if average is not None:
            grown = self._with_average(grown, average)
        save_child(grown, setup, child, how, average)
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

    def _grown_average(self, grown: GrownFile) -> GrownFile:
        """The parent's moving average, grown by the same map."""
        (path,) = self.inputs[len(self._parents) :]
        return grow_child(self.setup.architecture, [identify(path)], self._how)

    def _with_average(self, grown: GrownFile, average: GrownFile) -> GrownFile:
        """MoGrow; a sub-net that is taken out of its supernet keeps the weights it was trained
        with.
        """
        progression = self.protocol_run.protocol.progression
        assert progression is not None  # or nobody would keep an average
        if get_operator(self.spec.operator).parents == "deeper":
            return grown
        layout, parent = self.setup.architecture.layout(), grown.parents[0].architecture
        assert parent is not None
        depths = parent.layout().num_blocks, layout.num_blocks
        new = new_blocks(block_sources(self.protocol_run.protocol.depth_operator, *depths))
        state = mogrow(
            grown.result.state_dict, average.result.state_dict, layout, progression.mogrow, new
        )
        self.protocol_run.logger.info(
            f"{self.setup.row.name}: MoGrow {progression.mogrow!r}, {len(new)} new blocks"
        )
        return replace(grown, result=replace(grown.result, state_dict=state))
