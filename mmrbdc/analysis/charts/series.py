"""What the charts of pretraining draw: the runs of one protocol."""

from dataclasses import dataclass

from mmrbdc.runs.junction import ChildScores
from mmrbdc.runs.pretraining import PretrainingRun


@dataclass(frozen=True)
class Series:
    """Runs of one protocol that differ in their seed.

    Attributes:
        label: for readers.
        colour: of all that is drawn of them.
        runs: at least one.
        dashes: of its lines, as SVG's ``stroke-dasharray``; empty for solid ones.
    """

    label: str
    colour: str
    runs: tuple[PretrainingRun, ...]
    dashes: str = ""

    @property
    def couples(self) -> bool:
        """Whether it has junctions."""
        return len(self.runs[0].stages) > 1

    @property
    def is_recursion(self) -> bool:
        """Whether each stage's models are the diagonal blocks of the next stage's."""
        widths = {stage.members * stage.width for stage in self.runs[0].stages}
        return self.couples and len(widths) == 1

    def couplings(self, stage: int) -> list[ChildScores]:
        """Return all children of all runs at the start of ``stage``."""
        name = self.runs[0].stages[stage].name
        junctions = [s.junction for run in self.runs for s in run.stages if s.name == name]
        return [child for junction in junctions if junction for child in junction.children]
