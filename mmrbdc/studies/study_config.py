"""What a study compares: methods, budgets and seeds, every run's lengths solved for its budget.

A study config holds one dict::

    study = dict(
        recipe='configs/baselines/deit-micro_scratch_digits.py',
        options={'train_dataloader.dataset.data_root': 'data/digits_small'},
        seeds=[0, 1, 2, 3, 4],
        budgets=[1.0],
        methods=dict(
            scratch=dict(budgets=[0.5, 1.0, 2.0]),
            rbdc=dict(stages=[(4, '1/4'), (2, '1/2'), (1, 1)]),
            net2net=dict(stages=[(1, '1/2'), (1, 1)], ratio=1.0)))

The recipe gives the target, the data, the schedule and the reference, whose FLOPs are a budget of
1. A method's name is its ``protocol.method`` unless it says another; stages are (members, width),
or (members, width, inner width), or a dict of these and of what else a stage may say
(``dict(members=2, width='1/2', img_size=24)``). ``imports`` names modules that register operators
of one's own.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmrbdc.engine.configs.cfg_options import merge_options
from mmrbdc.engine.configs.loading import load_config
from mmrbdc.engine.cost.plan_inputs import plan_inputs
from mmrbdc.engine.steps.staged_checks import check_staged
from mmrbdc.growth import get_operator, import_operators
from mmrbdc.methods import get_method, parse_protocol
from mmrbdc.plan import DEFAULT_RATIO, PlanError, make_plan, solve_lengths
from mmrbdc.plan.values import check_keys, plain

STUDY_KEYS = ("recipe", "options", "seeds", "budgets", "methods")
STAGE = ("members", "width", "inner")
KINDS: dict[str, tuple[type, ...]] = {
    "method": (str,),
    "stages": (list,),
    "imports": (list,),
    "protocol": (dict,),
    "ratio": (int, float, list),
}
LISTS: dict[str, tuple[type, ...]] = {"seeds": (int,), "budgets": (int, float)}
REFERENCE = ("family", "reference_epochs", "train_samples")
METHOD_KEYS = ("method", "stages", "ratio", "budgets", "seeds", "protocol", "imports")
LARGEST_SEED = 2**32 - 1  # numpy takes no larger one


@dataclass(frozen=True)
class PlannedVariant:
    """A method at a budget: one staged config, trained once for each seed.

    Attributes:
        label: the method's name in the study, which its config and its models have too.
        budget: share of the reference's FLOPs.
        config: the staged config, complete.
        seeds: to train it on.
    """

    label: str
    budget: float
    config: Config
    seeds: tuple[int, ...]

    @property
    def name(self) -> str:
        """Of its work dirs, but for the seed."""
        return f"{self.label}_budget{self.budget:g}"

    @property
    def first_stage(self) -> str:
        """Equal for variants that leave the same members of their first stage, whatever they grow
        them into.
        """
        protocol = parse_protocol(self.config, name=self.label)
        if len(protocol.stages) == 1 or protocol.progression is not None:
            return self.name
        kind = get_operator(protocol.operators[0]).parent_weights
        first = protocol.stages[0]
        schedule = () if protocol.schedule == "stage" else plain(self.config.stages)
        own = (plain(self.config.stages[0]), kind, protocol.parents)
        return repr((*own, first.frozen, protocol.schedule, schedule))


@dataclass(frozen=True)
class Grid:
    """A study as planned.

    Attributes:
        name: of the study.
        recipe: path of its recipe.
        budget: the one that all methods are ranked at, the config's first.
        variants: in the order of the config, a method's budgets rising.
    """

    name: str
    recipe: str
    budget: float
    variants: tuple[PlannedVariant, ...]


def read_grid(path: Path, root: Path, options: Mapping[str, Any] | None = None) -> Grid:
    """Read a study config and solve all lengths.

    Args:
        path: of the study config.
        root: folder that the recipe's path is relative to.
        options: ``--cfg-options``, for the recipe; they win over the study's.

    Raises:
        ValueError, OSError: the config or its recipe cannot be read; a key is missing, unknown or
            of another kind; a method cannot serve the recipe's family or widths; a budget is too
            small for a method's stages.
    """
    cfg = load_config(str(path))
    if "study" not in cfg:
        raise PlanError(f"{path} has no 'study'; configs/studies has examples")
    study = plain(cfg.study)
    _check_dict(study, STUDY_KEYS, f"{path}: study")
    for key in ("recipe", "seeds", "budgets", "methods"):
        if not study.get(key):
            raise PlanError(f"{path}: study has no {key!r}; add study.{key}")
    for key in LISTS:
        _check_list(study[key], LISTS[key], f"{path}: study.{key}")
    if not isinstance(study["methods"], dict):
        raise PlanError(f"{path}: study.methods must be a dict, got {study['methods']!r}")
    recipe = load_config(str(root / study["recipe"]))
    if "protocol" not in recipe:
        raise PlanError(
            f"{path}: study.recipe {study['recipe']} has no 'protocol'; configs/baselines has some"
        )
    options = {**(study.get("options") or {}), **(options or {})}
    _check_options(options, str(path))
    merge_options(recipe, options)
    variants = []
    for label, settings in study["methods"].items():
        where = f"{path}: study.methods.{label}"
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", str(label)):
            raise PlanError(
                f"{where}: a method's name is that of its folders and files; use letters, digits, "
                "'.', '_' and '-'"
            )
        _check_dict(settings, METHOD_KEYS, where)
        for key in settings.keys() & LISTS.keys():
            _check_list(settings[key], LISTS[key], f"{where}.{key}")
        _check_kinds(settings, where)
        for budget in sorted(settings.get("budgets", study["budgets"])):
            seeds = tuple(settings.get("seeds", study["seeds"]))
            try:
                config = variant_config(recipe, label, settings, budget)
            except ValueError as error:
                raise PlanError(f"{where}, budget {budget:g}: {error}") from error
            variants.append(PlannedVariant(label, budget, config, seeds))
    _check_told_apart(variants, str(path))
    return Grid(path.stem, study["recipe"], float(study["budgets"][0]), tuple(variants))


def variant_config(
    recipe: Config, label: str, settings: Mapping[str, Any], budget: float
) -> Config:
    """Return the recipe with a method's protocol, its stages as long as the budget allows."""
    cfg = Config(recipe.to_dict(), format_python_code=False)
    if modules := settings.get("imports"):
        known = cfg.get("custom_imports") or dict(imports=[])
        cfg.custom_imports = dict(known, imports=[*known["imports"], *modules])
        import_operators(cfg.custom_imports["imports"], "imports")
    method = settings.get("method", label)
    reference = {key: recipe.protocol[key] for key in REFERENCE if key in recipe.protocol}
    cfg.protocol = dict(settings.get("protocol", {}), method=method, **reference)
    if get_method(method).makes_stages:
        return _progressing(cfg, label, settings, budget)
    cfg.stages = [dict(_stage(stage), epochs=1) for stage in settings.get("stages", [[1, 1]])]
    protocol = parse_protocol(cfg, name=label)
    check_staged(cfg, protocol)
    lengths = solve_lengths(
        protocol,
        **plan_inputs(cfg, protocol, options=cfg.get("cfg_options")),
        budget=budget,
        ratio=settings.get("ratio", DEFAULT_RATIO),
    )
    for stage, length in zip(cfg.stages, lengths, strict=True):
        stage["epochs"] = length
    return cfg


def _progressing(cfg: Config, label: str, settings: Mapping[str, Any], budget: float) -> Config:
    """The config of a method that makes its own stages, which spends the budget by itself."""
    for key in ("stages", "ratio"):
        if key in settings:
            raise PlanError(
                f"{key} is set, but method {cfg.protocol.method!r} makes its own stages from "
                "protocol.progression; leave it out"
            )
    progression = dict(cfg.protocol.get("progression") or {})
    if progression.get("lengths", "budget") != "budget" or "budget" in progression:
        raise PlanError(
            "protocol.progression may set neither lengths nor budget: methods are ranked at equal "
            "FLOPs, which the study says"
        )
    cfg.protocol.progression = dict(progression, budget=budget)
    cfg.pop("stages", None)
    protocol = parse_protocol(cfg, name=label)
    check_staged(cfg, protocol)
    make_plan(protocol, **plan_inputs(cfg, protocol, options=cfg.get("cfg_options")))
    return cfg


def runs_of(grid: Grid) -> list[tuple[PlannedVariant, int]]:
    """All (variant, seed), seed by seed, the largest budget first."""
    seeds = sorted({seed for variant in grid.variants for seed in variant.seeds})
    largest = sorted(grid.variants, key=lambda variant: -variant.budget)
    return [(v, seed) for seed, v in product(seeds, largest) if seed in v.seeds]


def _stage(stage: Any) -> dict[str, Any]:
    if isinstance(stage, dict):
        if "epochs" in stage:
            raise PlanError(f"a stage's epochs follow from the budget; remove them from {stage!r}")
        return stage
    if not isinstance(stage, list) or not 2 <= len(stage) <= len(STAGE):
        raise PlanError(
            f"a stage is ({', '.join(STAGE)}), the last may be left out, or a dict, got {stage!r}"
        )
    return dict(zip(STAGE, stage, strict=False))


def _check_list(value: Any, kinds: tuple[type, ...], where: str) -> None:
    if not isinstance(value, list) or not value or any(type(n) not in kinds for n in value):
        what = "numbers" if float in kinds else "whole numbers"
        raise PlanError(f"{where} must be a list of {what}, got {value!r}")
    if len(set(value)) < len(value):
        raise PlanError(f"{where} names one twice: {value!r}")
    if float not in kinds and not all(0 <= seed <= LARGEST_SEED for seed in value):
        raise PlanError(f"{where} must lie between 0 and {LARGEST_SEED}, got {value!r}")


def _check_kinds(settings: Mapping[str, Any], where: str) -> None:
    for key in settings.keys() & KINDS.keys():
        if not isinstance(settings[key], KINDS[key]):
            kind = "number" if float in KINDS[key] else KINDS[key][0].__name__
            raise PlanError(f"{where}.{key} must be a {kind}, got {settings[key]!r}")
    ratio = settings.get("ratio")
    if isinstance(ratio, list):
        _check_numbers(ratio, f"{where}.ratio")
    own = [key for key in ("method", *REFERENCE) if key in settings.get("protocol", {})]
    if own:
        raise PlanError(
            f"{where}.protocol may not set {', '.join(own)}: all methods are compared on the "
            "recipe's reference, and 'method' stands beside 'protocol'"
        )


def _check_numbers(values: list[Any], where: str) -> None:
    if not values or any(type(value) not in (int, float) for value in values):
        raise PlanError(f"{where} must be a number, or a list of one per stage, got {values!r}")


def _check_options(options: Mapping[str, Any], where: str) -> None:
    """Methods bring their own protocol and stages, which an option could only seem to change."""
    for key in options:
        part, _, rest = str(key).partition(".")
        if part == "stages" or (part == "protocol" and rest not in REFERENCE):
            raise PlanError(
                f"{where}: the option {key} has no effect on a study, whose methods bring their "
                "own stages and protocol; set study.methods.NAME.protocol or .stages (of the "
                f"recipe's protocol there is {', '.join(REFERENCE)})"
            )


def _check_told_apart(variants: Sequence[PlannedVariant], where: str) -> None:
    """What a report could not tell apart is refused before anything trains."""
    methods = {v.label: get_method(v.config.protocol.method) for v in variants}
    scratch = {label for label, method in methods.items() if method.from_scratch}
    if len(scratch) > 1:
        raise PlanError(
            f"{where}: study.methods has several from scratch, {', '.join(sorted(scratch))}; leave "
            "one, with several budgets if need be"
        )
    for one, other in pairwise(variants):
        stages = [found.config.get("stages") for found in (one, other)]
        if one.label == other.label and stages[0] is not None and stages[0] == stages[1]:
            raise PlanError(
                f"{where}: study.methods.{one.label}: budgets {one.budget:g} and {other.budget:g} "
                "give the same iterations; leave one, or move them apart"
            )


def _check_dict(settings: Any, known: Sequence[str], where: str) -> None:
    if not isinstance(settings, dict):
        raise PlanError(f"{where} must be a dict, got {settings!r}")
    check_keys(settings, known, where)
