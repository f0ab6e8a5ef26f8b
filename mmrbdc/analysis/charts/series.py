"""What the charts of pretraining draw: the runs of one protocol."""

from dataclasses import dataclass

from mmrbdc.runs.junction import ChildScores
from mmrbdc.runs.pretraining import PretrainingRun, StageRun


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
        """Whether narrow models are the diagonal blocks of the next stage's."""
        stages = self.runs[0].stages
        whole = {stage.members * stage.width for stage in stages}
        return len(whole) == 1 and len({stage.width for stage in stages}) > 1

    def couplings(self, stage: int) -> list[ChildScores]:
        """Return all children of all runs at the start of ``stage``."""
        name = self.runs[0].stages[stage].name
        junctions = [s.junction for run in self.runs for s in run.stages if s.name == name]
        return [child for junction in junctions if junction for child in junction.children]


def models_of(run: PretrainingRun, stage: StageRun) -> str:
    """What a stage's models are, for readers: their number and width, such as '4 × 48'.

    Where one model grows in depth or image size alone, it is these; a search is called that.
    """
    if stage.candidates:
        return "search"
    if not run.grows or len({(s.members, s.width) for s in run.stages}) > 1:
        return f"{stage.members} × {stage.width}"
    return depth_and_size(stage)


def depth_and_size(stage: StageRun) -> str:
    """Blocks and pixels, such as '3 blocks, 24 px'; what is not known is left out."""
    known = ((stage.blocks, "blocks"), (stage.img_size, "px"))
    words = ", ".join(f"{value} {unit}" for value, unit in known if value is not None)
    return words or f"{stage.members} × {stage.width}"
