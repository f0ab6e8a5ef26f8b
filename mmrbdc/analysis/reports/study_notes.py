"""What the rows of a ranking do not say: how to read them, and what to be careful about."""

from mmrbdc.analysis.study.ranking import Ranking
from mmrbdc.analysis.study.variants import Study
from mmrbdc.analysis.units import format_flops
from mmrbdc.methods.readers import baselines
from mmrbdc.plan import DEFAULT_RATIO

MEANING = (
    "A method wins here if its difference to the others is larger than what seeds alone do: look "
    "at the intervals and p, not at the order of the means."
)
JUNCTION = (
    "junction, one for each step: top-1 on the validation images of the parents' ensemble (where a "
    "child has one parent: of that), and of the child before its first step."
)
DEAR = 0.05
"""Share of a budget that an operator's own passes may take without being told."""


def spent(ranking: Ranking) -> str:
    """The FLOPs of all rows, for a title."""
    flops = [place.variant.flops for place in ranking.places]
    low, high = (f(flops, default=0) for f in (min, max))
    return f", {format_flops(low)} to {format_flops(high)} each" if flops else ""


def rivals(ranking: Ranking) -> str:
    """Which variants the differences are to."""
    found = {m: d.second for place in ranking.places for m, d in place.differences.items()}
    named = " and ".join(found[method] for method in baselines() if method in found)
    if not named:
        return "There is nothing to compare with."
    return (
        f"Differences are to {named}, seed by seed, with Student's 95 % interval of their mean; p "
        "is that of a sign-flip test over seeds."
    )


def warnings(ranking: Ranking) -> list[str]:
    """Off budget, runs that are missing, an expensive operator."""
    lines = [
        f"{place.variant.label} spent {1 + place.off:.1%} of the budget: too few iterations to "
        "come nearer"
        for place in ranking.places
        if not place.on_budget
    ]
    if any(len(place.variant.runs) < place.planned for place in ranking.places):
        lines.append("not all seeds are there, so means do not compare everywhere")
    if ranking.missing:
        lines.append(f"not finished and left out: {', '.join(ranking.missing)}")
    if ranking.unranked:
        lines.append(
            f"not trained at this budget and therefore not ranked: {', '.join(ranking.unranked)}"
        )
    lines += [
        f"{place.variant.label} spent {place.growing:.0%} of its FLOPs on the images that its "
        "operator passes through the network, a fixed number, which weighs less in longer trainings"
        for place in ranking.places
        if place.growing > DEAR
    ]
    return lines


def how_to_read(study: Study, ranking: Ranking) -> list[str]:
    """Explain every word and number of a row to someone who has not read the paper."""
    return [
        "1 step, 2 steps: how often a method grew its model on the way to the target.",
        f"Budget: {ranking.budget:.0%} of what the recipe's training from scratch costs "
        f"({format_flops(study.reference_flops)}). Every model on the way counts, and "
        "so does what an operator computes by itself.",
        f"± is the standard deviation over seeds; in brackets the number of runs. top-1 is "
        f"measured on {study.split}.",
        rivals(ranking),
        *([_floor(ranking), _multiplicity(ranking)] if _pairs(ranking) else []),
        JUNCTION,
        "Epochs of a stage over those of the next one are the same for all methods, "
        f"unless the study's config says otherwise: {DEFAULT_RATIO:g}, chosen for RBDC. Nothing "
        "was tuned for another method.",
    ]


def _floor(ranking: Ranking) -> str:
    words = (
        "That test is two-sided: p is the share of all ways of giving the differences their signs "
        "whose mean is at least as far from zero"
    )
    return f"{words}. With {ranking.seeds} seeds it cannot be below {2 / 2**ranking.seeds:.3g}."


def _multiplicity(ranking: Ranking) -> str:
    count = len(_pairs(ranking))
    needed = 0.05 / count
    words = (
        f"No p is adjusted for the {count} comparisons: for the smallest to count as significant "
        f"beside so many (Holm), it would have to be below {needed:.2g}"
    )
    if 2 / 2**ranking.seeds > needed:
        return f"{words}, which {ranking.seeds} seeds cannot give."
    return f"{words}."


def _pairs(ranking: Ranking) -> set[frozenset[str]]:
    """Methods compared with each other, once each, whichever row it stands in."""
    differences = (d for place in ranking.places for d in place.differences.values())
    return {frozenset((d.first, d.second)) for d in differences}
