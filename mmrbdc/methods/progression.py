"""``protocol.progression`` of methods that make their own stages, read and checked."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from mmrbdc.families import FamilyError, architecture_from_config
from mmrbdc.plan import PlanError, Progression, Ramp
from mmrbdc.plan.progression import COSTS, LENGTHS, MOGROW
from mmrbdc.plan.values import check_keys, count, not_negative, one_of, positive
from mmrbdc.search import Grid, SearchError, grid

SEARCH_KEYS = ("search_epochs", "evaluations", "batches", "cost")
KEYS = (
    "stages",
    "scale",
    "depths",
    "img_sizes",
    "multiple",
    "lengths",
    "budget",
    "mogrow",
    "magnitude",
    "drop_path",
    "erasing",
)
_WHERE = "protocol.progression"


def read_progression(settings: Any, cfg: Mapping[str, Any], *, searches: bool) -> Progression:
    """Read and check ``protocol.progression``.

    Args:
        settings: what the config says.
        cfg: the config, whose model is the target.
        searches: whether the method searches, so that it has keys of its own.

    Raises:
        PlanError: something is missing, unknown or inconsistent.
    """
    if settings is None:
        settings = {}
    if not isinstance(settings, dict):
        raise PlanError(f"{_WHERE} must be a dict, got {settings!r}")
    check_keys(settings, (*KEYS, *(SEARCH_KEYS if searches else ())), _WHERE)
    lengths = one_of(settings.get("lengths", "budget"), LENGTHS, f"{_WHERE}.lengths")
    budget = settings.get("budget")
    if (budget is None) == (lengths == "budget"):
        told = "no budget" if budget is None else f"budget={budget!r}"
        raise PlanError(
            f"{_WHERE} has lengths={lengths!r} and {told}; give budget, a share of the FLOPs of "
            "training from scratch such as 0.7, or lengths='epochs', which takes "
            "protocol.reference_epochs whatever they cost"
        )
    return Progression(
        grid=_grid(settings, cfg),
        lengths=lengths,
        budget=None if budget is None else positive(budget, f"{_WHERE}.budget"),
        mogrow=one_of(settings.get("mogrow", "all"), MOGROW, f"{_WHERE}.mogrow"),
        search_epochs=positive(settings.get("search_epochs", 2), f"{_WHERE}.search_epochs")
        if searches
        else 0.0,
        evaluations=count(settings.get("evaluations", 5), f"{_WHERE}.evaluations"),
        batches=count(settings.get("batches", 50), f"{_WHERE}.batches"),
        cost=one_of(settings.get("cost", "flops"), COSTS, f"{_WHERE}.cost"),
        ramp=Ramp(
            magnitude=_share(settings.get("magnitude", 0.5), "magnitude"),
            drop_path=_share(settings.get("drop_path", 0), "drop_path"),
            erasing=_share(settings.get("erasing", 0), "erasing"),
        ),
    )


def _share(value: Any, key: str) -> float:
    share = not_negative(value, f"{_WHERE}.{key}")
    if share > 1:
        raise PlanError(
            f"{_WHERE}.{key} is {value!r}; it is the share of the recipe's with which the first "
            "stage begins, at most 1"
        )
    return share


def _grid(settings: Mapping[str, Any], cfg: Mapping[str, Any]) -> Grid:
    blocks, fixed = _blocks(cfg)
    pixels = _pixels(settings, cfg)
    stages = count(settings.get("stages", 4), f"{_WHERE}.stages")
    scale = positive(settings.get("scale", 0.5), f"{_WHERE}.scale")
    multiple = count(settings.get("multiple", 32), f"{_WHERE}.multiple")
    try:
        depths = _listed(settings, "depths", stages)
        sizes = _listed(settings, "img_sizes", stages)
        if not depths or not sizes:
            found = grid(blocks, pixels, stages, 1.0 if fixed else scale, scale, multiple)
            depths, sizes = depths or found.depths, sizes or found.img_sizes
        if fixed and set(depths) != {blocks}:
            raise PlanError(f"{_WHERE}.depths={list(depths)}: {fixed}")
        made = Grid(depths, sizes)
    except SearchError as error:
        raise PlanError(f"{_WHERE}: {error}") from error
    if made.depths[-1] != blocks:
        raise PlanError(
            f"{_WHERE}.depths ends with {made.depths[-1]} blocks, but the target has {blocks}; end "
            "with the target's"
        )
    return made


def _listed(settings: Mapping[str, Any], key: str, stages: int) -> tuple[int, ...]:
    """What a config says of every stage; empty where it says nothing."""
    given = settings.get(key)
    if given is None:
        return ()
    if not isinstance(given, list | tuple) or len(given) != stages:
        raise PlanError(
            f"{_WHERE}.{key}={given!r} must be a list of one whole number for each of "
            f"{stages} stages (progression.stages)"
        )
    return tuple(count(value, f"{_WHERE}.{key}[{i}]") for i, value in enumerate(given))


def _blocks(cfg: Mapping[str, Any]) -> tuple[int, str]:
    """Blocks of the target, and why they cannot be fewer, if so."""
    architecture = architecture_from_config(cfg["model"])
    blocks = architecture.layout().num_blocks
    try:
        architecture.at_depth(Fraction(1, blocks))
    except FamilyError as error:
        return blocks, str(error)
    return blocks, ""


def _pixels(settings: Mapping[str, Any], cfg: Mapping[str, Any]) -> int:
    sizes = settings.get("img_sizes")
    if isinstance(sizes, list | tuple) and sizes:
        return count(sizes[-1], f"{_WHERE}.img_sizes[-1]")
    size = cfg.get("input_size") or cfg["model"]["backbone"].get("img_size", 224)
    height, width = (size, size) if isinstance(size, int) else size
    if height != width:
        raise PlanError(f"{_WHERE} needs square images, but the config's are {height}x{width} px")
    return height
