"""MixtureGrowth: two mixtures of templates become one plain model."""

from collections.abc import Sequence
from dataclasses import dataclass

from mmrbdc.methods.coupling import Coupling
from mmrbdc.plan import PlanError, Stage


@dataclass(frozen=True)
class Mixture(Coupling):
    """Two members of half the width and one junction, in width alone."""

    def check(self, stages: Sequence[Stage]) -> None:
        """Refuse other counts, other depths and other image sizes."""
        super().check(stages)
        if len(stages) != 2 or stages[0].members != 2:
            counts = ", ".join(str(stage.members) for stage in stages)
            raise PlanError(
                f"{self.name} has {len(stages)} stages of {counts} members; it joins two mixtures "
                "of templates into a plain model, once: use stages of 2 members of width '1/2' and "
                "1 of width 1, or method='rbdc' for more"
            )
        for i, stage in enumerate(stages):
            for key, value, plain in (
                ("depth", stage.depth, 1),
                ("img_size", stage.img_size, None),
            ):
                if value != plain:
                    raise PlanError(
                        f"stages[{i}] has {key}={value}, but {self.name} grows width only; leave "
                        f"{key} out of its stages"
                    )


METHODS = (
    Mixture(
        "mixture-growth",
        "two narrow models as diagonal blocks, every weight of theirs a weighted sum of a few "
        "tensors that layers share, its templates; the blocks between the two are other sums of "
        "the same templates (MixtureGrowth)",
    ),
    Mixture("mixture-growth-copy", "MixtureGrowth with copies of the diagonal blocks between them"),
    Mixture("mixture-growth-zero", "MixtureGrowth with zeros between the diagonal blocks"),
    Mixture(
        "mixture-growth-random",
        "MixtureGrowth with random sums of the templates between the diagonal blocks",
    ),
)
