"""A config's protocol and stages, read and checked by its method's rules."""

import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mmrbdc.families import get_family
from mmrbdc.growth import DEPTH_OPERATORS
from mmrbdc.methods.method import Method
from mmrbdc.methods.registry import get_method
from mmrbdc.plan import PlanError, Progression, Protocol, Stage, without_removed
from mmrbdc.plan.stages import RESIZES
from mmrbdc.plan.values import (
    check_keys,
    count,
    fraction,
    listed,
    not_negative,
    one_of,
    plain,
    positive,
)
from mmrbdc.wording import counted

WEIGHTS = ("raw", "ema")
SCHEDULES = ("stage", "epochs", "flops")
PROTOCOL_KEYS = (
    "method",
    "family",
    "depth_operator",
    "parents",
    "warmup",
    "schedule",
    "resize",
    "progression",
    "reference_epochs",
    "train_samples",
)
STAGE_KEYS = ("members", "width", "inner", "depth", "img_size", "epochs", "iters", "warmup")


def parse_protocol(cfg: Mapping[str, Any], *, name: str = "protocol") -> Protocol:
    """Read and check ``protocol`` and ``stages`` of a config.

    Args:
        cfg: an MMEngine config or a plain dict.
        name: what the run is called; usually the stem of the config's file name.

    Raises:
        PlanError: something is missing, unknown or inconsistent.
    """
    if "protocol" not in cfg:
        raise PlanError(
            "the config has no 'protocol', so it is not a staged one; configs/rbdc has examples"
        )
    settings = plain(cfg["protocol"])
    if not isinstance(settings, dict):
        raise PlanError(f"protocol must be a dict, got {settings!r}")
    settings = without_removed(settings, "protocol")
    stated = settings.pop("operator", None)
    check_keys(settings, PROTOCOL_KEYS, "protocol")
    for key in ("method", "family"):
        if key not in settings:
            raise PlanError(f"protocol has no {key!r}; add protocol.{key}")

    method = get_method(settings["method"])
    get_family(settings["family"])
    samples = settings.get("train_samples")
    progression = _progression(method, settings, cfg)
    parsed = (
        method.stages(progression, {}) if progression is not None else _listed_stages(method, cfg)
    )
    resize = one_of(settings.get("resize", "pipeline"), RESIZES, "protocol.resize")
    if "resize" in settings and not method.resizes:
        raise PlanError(
            f"protocol.resize is {resize!r}, but method {method.name!r} does not leave that open; "
            "leave it out"
        )
    if resize != "pipeline":
        parsed = tuple(replace(stage, resize=resize) for stage in parsed)
    operators = tuple(method.operator(*pair) for pair in itertools.pairwise(parsed))
    if stated is not None and set(operators) - {stated}:
        raise PlanError(
            f"protocol.operator is {stated!r}, but method {method.name!r} grows by "
            f"{' and '.join(map(repr, dict.fromkeys(operators)))}; leave protocol.operator out: "
            "the method names its operators"
        )
    return Protocol(
        name=name,
        method=method.name,
        family=settings["family"],
        operators=operators,
        parents=one_of(settings.get("parents", "raw"), WEIGHTS, "protocol.parents"),
        stages=parsed,
        reference_epochs=positive(
            settings.get("reference_epochs", 300), "protocol.reference_epochs"
        ),
        train_samples=None if samples is None else count(samples, "protocol.train_samples"),
        depth_operator=one_of(
            settings.get("depth_operator", method.depth_operator),
            DEPTH_OPERATORS,
            "protocol.depth_operator",
        ),
        warmup=None
        if settings.get("warmup") is None
        else not_negative(settings["warmup"], "protocol.warmup"),
        schedule=_schedule(settings, parsed) if progression is None else progression.schedule,
        steps=method.steps(parsed),
        may_skip=method.may_skip(parsed),
        progression=progression,
    )


def _listed_stages(method: Method, cfg: Mapping[str, Any]) -> tuple[Stage, ...]:
    if "stages" not in cfg:
        raise PlanError(
            "the config has no 'stages', so it is not a staged one; configs/rbdc has examples"
        )
    stages = plain(cfg["stages"])
    if not isinstance(stages, list) or not stages:
        raise PlanError(f"stages must be a list of at least one dict, got {stages!r}")
    parsed = tuple(_parse_stage(stage, i, cfg) for i, stage in enumerate(stages))
    method.check(parsed)
    return tuple(
        replace(stage, frozen=_frozen(method, parsed, i)) for i, stage in enumerate(parsed)
    )


def _progression(
    method: Method, settings: Mapping[str, Any], cfg: Mapping[str, Any]
) -> Progression | None:
    """How the method makes its own stages; ``None`` where the config lists them."""
    if not method.makes_stages:
        if "progression" in settings:
            raise PlanError(
                f"protocol.progression is set, but the stages of method {method.name!r} are those "
                "that the config lists; leave it out"
            )
        return None
    progression = method.progression(settings.get("progression"), cfg)
    if cfg.get("stages") is not None:
        raise PlanError(
            f"the config lists stages, but method {method.name!r} makes its own from "
            "protocol.progression; leave stages out"
        )
    fixed = {
        "parents": "which weights are grown is progression.mogrow",
        "warmup": "the run has one schedule, whose warm-up is the recipe's",
        "schedule": f"the run has one schedule, by {progression.schedule}",
        "depth_operator": f"its depth grows by {method.depth_operator!r}",
    }
    for key, why in fixed.items():
        if settings.get(key) is not None:
            raise PlanError(
                f"protocol.{key} is set, but with method {method.name!r} {why}; leave it out"
            )
    return progression


def _schedule(settings: Mapping[str, Any], stages: tuple[Stage, ...]) -> str:
    schedule = one_of(settings.get("schedule", "stage"), SCHEDULES, "protocol.schedule")
    warmups = ["protocol"] if settings.get("warmup") is not None else []
    warmups += [f"stages[{i}]" for i, stage in enumerate(stages) if stage.warmup is not None]
    if schedule != "stage" and warmups:
        raise PlanError(
            f"{warmups[0]}.warmup is set, but protocol.schedule={schedule!r} gives the run one "
            "schedule, whose warm-up is the recipe's; leave one of them out"
        )
    return schedule


def _frozen(method: Method, stages: tuple[Stage, ...], i: int) -> tuple[tuple[str, ...], ...]:
    found = method.frozen(stages, i)
    if found and len(found) != stages[i].members:
        raise PlanError(
            f"method {method.name!r} says what {counted(len(found), 'member')} of stages[{i}] "
            f"keep as they are, but it has {stages[i].members}; give one tuple of names per member"
        )
    return found if any(found) else ()


def _parse_stage(stage: Any, index: int, cfg: Mapping[str, Any]) -> Stage:
    where = f"stages[{index}]"
    if not isinstance(stage, dict):
        raise PlanError(f"{where} must be a dict, got {stage!r}")
    for key in ("members", "width"):
        if key not in stage:
            raise PlanError(f"{where} has no {key!r}; it says {listed(stage)}")
    img_size = stage.get("img_size")
    epochs, iters = stage.get("epochs"), stage.get("iters")
    if (epochs is None) == (iters is None):
        given = "neither epochs nor iters" if epochs is None else f"{epochs=} and {iters=}"
        raise PlanError(
            f"{where} has {given}; give exactly one of them (None unsets the other, for example "
            f"stages.{index}.epochs=None on a command line)"
        )
    overrides = {key: value for key, value in stage.items() if key not in STAGE_KEYS}
    for key in overrides:
        check_keys([key.split(".")[0]], [*STAGE_KEYS, *cfg], f"{where} (an override)")
    return Stage(
        members=count(stage["members"], f"{where}.members"),
        width=fraction(stage["width"], f"{where}.width"),
        epochs=None if epochs is None else positive(epochs, f"{where}.epochs"),
        iters=None if iters is None else count(iters, f"{where}.iters"),
        overrides=overrides,
        depth=fraction(stage.get("depth", 1), f"{where}.depth"),
        img_size=None if img_size is None else count(img_size, f"{where}.img_size"),
        inner=fraction(stage.get("inner", 1), f"{where}.inner"),
        warmup=None
        if stage.get("warmup") is None
        else not_negative(stage["warmup"], f"{where}.warmup"),
    )
