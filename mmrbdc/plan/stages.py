"""What a protocol says before anything runs: its stages, and the rules that they keep.

A config holds both at top level::

    protocol = dict(method='rbdc', family='deit', reference_epochs=300, train_samples=1281167)
    stages = [
        dict(members=2, width='1/2', epochs=250),
        dict(members=1, width=1, epochs=167, optim_wrapper=dict(optimizer=dict(lr=5e-4))),
    ]

A stage may be shallower than the target, ``depth='1/2'``, narrower inside its blocks only,
``inner='1/2'``, or see smaller images, ``img_size=112``; ``protocol.depth_operator`` says how depth
grows. None of them falls from one stage to the next.
Whatever a stage says beyond these, members, width and length overrides the config for that stage.
"""

import difflib
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from mmrbdc.families import get_family
from mmrbdc.growth import DEPTH_OPERATORS
from mmrbdc.growth.run import OPERATORS, Operator
from mmrbdc.plan.errors import PlanError
from mmrbdc.plan.removed import check_removed

WEIGHTS = ("raw", "ema")
PROTOCOL_KEYS = (
    "method",
    "family",
    "depth_operator",
    "parents",
    "warmup",
    "reference_epochs",
    "train_samples",
)
STAGE_KEYS = ("members", "width", "inner", "depth", "img_size", "epochs", "iters")

_LARGEST_DENOMINATOR = 64
_WIDTH_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Stage:
    """One phase of a protocol: ``members`` models of equal width, trained for equally long.

    Args:
        members: How many models.
        width: Their width as a fraction of the target's.
        epochs: Length in epochs, not necessarily whole; None where ``iters`` is given.
        iters: Length in iterations; None where ``epochs`` is given.
        overrides: Config overrides of this stage, in the form of ``Config.merge_from_dict``.
        depth: Their number of blocks as a fraction of the target's.
        img_size: Height and width of their images in pixels; None for the config's.
        inner: The inner width of their blocks as a fraction of that of the target at this width.
    """

    members: int
    width: Fraction
    epochs: float | None = None
    iters: int | None = None
    overrides: dict[str, Any] = field(default_factory=dict)
    depth: Fraction = Fraction(1)
    img_size: int | None = None
    inner: Fraction = Fraction(1)


@dataclass(frozen=True)
class Protocol:
    """A pretraining run from the first stage's members to the one final model.

    Args:
        name: What the run and its final weights are called.
        method: 'rbdc', the name of another growth operator, or 'scratch' for a baseline, which is a
            protocol of one stage.
        family: Name of the architecture family, see ``mmrbdc.families``.
        operator: Name of the growth operator used at every junction.
        parents: Which weights of a member are grown: 'raw' or 'ema'.
        stages: From the narrowest to the target.
        reference_epochs: Length of the training from scratch that costs are compared with.
        train_samples: Samples in one epoch; None where only the data set knows.
        depth_operator: How depth grows at junctions where it does: 'stack' or 'adjacent'.
        warmup: Epochs of warm-up after a junction; None for the recipe's.
    """

    name: str
    method: str
    family: str
    operator: str
    parents: str
    stages: tuple[Stage, ...]
    reference_epochs: float
    train_samples: int | None
    depth_operator: str = "stack"
    warmup: float | None = None


def parse_protocol(cfg: Mapping[str, Any], *, name: str = "protocol") -> Protocol:
    """Read and check ``protocol`` and ``stages`` of a config.

    Args:
        cfg: An MMEngine config or a plain dict.
        name: What the run is called; usually the stem of the config's file name.

    Raises:
        PlanError: Something is missing, unknown or inconsistent.
    """
    for key in ("protocol", "stages"):
        if key not in cfg:
            raise PlanError(
                f"the config has no {key!r}, so it is not a staged one; configs/rbdc has examples"
            )
    settings = _plain(cfg["protocol"])
    if not isinstance(settings, dict):
        raise PlanError(f"protocol must be a dict, got {settings!r}")
    check_removed(settings, "protocol")
    _check_keys(settings, PROTOCOL_KEYS, "protocol")
    for key in ("method", "family"):
        if key not in settings:
            raise PlanError(f"protocol has no {key!r}; add protocol.{key}")

    # RBDC, the baseline, and for every other growth operator the method of its name.
    methods = ["rbdc", "scratch", *(name for name in OPERATORS if name != "block-diagonal")]
    own = "; an operator of your own is registered by a module in custom_imports.imports"
    method = _one_of(settings["method"], methods, "protocol.method", hint=own)
    get_family(settings["family"])
    operator = method if method in OPERATORS else "block-diagonal"
    samples = settings.get("train_samples")
    stages = _plain(cfg["stages"])
    if not isinstance(stages, list) or not stages:
        raise PlanError(f"stages must be a list of at least one dict, got {stages!r}")
    parsed = tuple(_parse_stage(stage, i, cfg) for i, stage in enumerate(stages))
    _check_sequence(parsed, method, OPERATORS[operator])
    if OPERATORS[operator].parent_weights == "templates":
        _check_templates(parsed, method)
    return Protocol(
        name=name,
        method=method,
        family=settings["family"],
        operator=operator,
        parents=_one_of(settings.get("parents", "raw"), WEIGHTS, "protocol.parents"),
        stages=parsed,
        reference_epochs=_positive(
            settings.get("reference_epochs", 300), "protocol.reference_epochs"
        ),
        train_samples=None if samples is None else _count(samples, "protocol.train_samples"),
        depth_operator=_one_of(
            settings.get("depth_operator", "stack"), DEPTH_OPERATORS, "protocol.depth_operator"
        ),
        warmup=None
        if settings.get("warmup") is None
        else _not_negative(settings["warmup"], "protocol.warmup"),
    )


def with_epochs(protocol: Protocol, epochs: Sequence[float]) -> Protocol:
    """Copy a protocol, its stages ``epochs`` long (one figure per stage)."""
    stages = [
        replace(stage, epochs=length, iters=None)
        for stage, length in zip(protocol.stages, epochs, strict=True)
    ]
    return replace(protocol, stages=tuple(stages))


def check_image_sizes(stages: Sequence[Stage], target: tuple[int, int]) -> None:
    """Check that images never become smaller and that the last stage sees the target's.

    Args:
        stages: All stages; those without an image size have the target's.
        target: Height and width of the config's images in pixels.

    Raises:
        PlanError: They fall, the last stage has others, or the config's images are not square.
    """
    if all(stage.img_size is None for stage in stages):
        return
    height, width = target
    if height != width:
        raise PlanError(
            f"stages with an img_size need square images, but the config's are {height}x{width} px"
        )
    sizes = [stage.img_size or height for stage in stages]
    if sizes[-1] != height:
        raise PlanError(
            f"the last stage has img_size={sizes[-1]}; it must be the target itself, whose images "
            f"have {height} px: leave its img_size out"
        )
    for i, (low, high) in enumerate(itertools.pairwise(sizes)):
        if high < low:
            raise PlanError(
                f"the image size falls from {low} px in stages[{i}] to {high} px in "
                f"stages[{i + 1}]; it may only grow: set stages[{i}].img_size={high} or less"
            )


def _parse_stage(stage: Any, index: int, cfg: Mapping[str, Any]) -> Stage:
    where = f"stages[{index}]"
    if not isinstance(stage, dict):
        raise PlanError(f"{where} must be a dict, got {stage!r}")
    for key in ("members", "width"):
        if key not in stage:
            raise PlanError(f"{where} has no {key!r}; it says {_listed(stage)}")
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
        _check_keys([key.split(".")[0]], [*STAGE_KEYS, *cfg], f"{where} (an override)")
    return Stage(
        members=_count(stage["members"], f"{where}.members"),
        width=_fraction(stage["width"], f"{where}.width"),
        epochs=None if epochs is None else _positive(epochs, f"{where}.epochs"),
        iters=None if iters is None else _count(iters, f"{where}.iters"),
        overrides=overrides,
        depth=_fraction(stage.get("depth", 1), f"{where}.depth"),
        img_size=None if img_size is None else _count(img_size, f"{where}.img_size"),
        inner=_fraction(stage.get("inner", 1), f"{where}.inner"),
    )


def _check_sequence(stages: Sequence[Stage], method: str, operator: Operator) -> None:
    """Members grow in equal groups, nothing falls, and the last stage is the target itself."""
    if (method == "scratch") != (len(stages) == 1):
        raise PlanError(
            f"method {method!r} with {len(stages)} stage(s): 'scratch' has exactly one stage and "
            "every other method at least two"
        )
    last = stages[-1]
    if last.members != 1 or last.width != 1:
        raise PlanError(
            f"the last stage has members={last.members}, width={last.width}; it must be the target "
            "itself: members=1, width=1"
        )
    for key in ("depth", "inner"):
        if getattr(last, key) != 1:
            raise PlanError(
                f"the last stage has {key}={getattr(last, key)}; it must be the target itself: "
                f"leave its {key} out"
            )
    for i, (narrow, wide) in enumerate(itertools.pairwise(stages)):
        if operator.parents == "one":
            _check_widened(i, narrow, wide, operator)
        else:
            _check_coupled(i, narrow, wide)
        for key in ("depth", "inner"):
            before, after = getattr(narrow, key), getattr(wide, key)
            if after < before:
                raise PlanError(
                    f"{key} falls from {before} in stages[{i}] to {after} in stages[{i + 1}]; it "
                    f"may only grow: set stages[{i}].{key}='{after}' or less"
                )


def _check_coupled(i: int, narrow: Stage, wide: Stage) -> None:
    group, rest = divmod(narrow.members, wide.members)
    if rest or group < 2:
        raise PlanError(
            f"stages[{i}] has {narrow.members} member(s) and stages[{i + 1}] has "
            f"{wide.members}: each child needs the same number of parents, at least 2; use a "
            f"multiple of {wide.members} in stages[{i}]"
        )
    if wide.width != group * narrow.width:
        raise PlanError(
            f"a child of stages[{i + 1}] has width {wide.width}, but its {group} parents of "
            f"width {narrow.width} sum to {group * narrow.width}; set stages[{i}].width="
            f"'{wide.width / group}'"
        )
    if wide.inner != narrow.inner:
        raise PlanError(
            f"stages[{i}] has inner={narrow.inner} and stages[{i + 1}] {wide.inner}, but coupling "
            "grows all widths alike; leave inner out"
        )


def _check_widened(i: int, narrow: Stage, wide: Stage, operator: Operator) -> None:
    if narrow.members != wide.members:
        raise PlanError(
            f"stages[{i}] has {narrow.members} member(s) and stages[{i + 1}] has {wide.members}, "
            f"but {operator.name} makes each child of one parent; set "
            f"stages[{i}].members={wide.members}"
        )
    if operator.inner and (wide.width != narrow.width or wide.inner <= narrow.inner):
        raise PlanError(
            f"stages[{i}] has width {narrow.width} and inner {narrow.inner}, stages[{i + 1}] "
            f"{wide.width} and {wide.inner}, but {operator.name} grows the inner width alone; set "
            f"stages[{i}].width='{wide.width}' and a smaller stages[{i}].inner, such as '1/2'"
        )
    if wide.width < narrow.width or (wide.width, wide.inner) == (narrow.width, narrow.inner):
        raise PlanError(
            f"stages[{i}] has width {narrow.width} and stages[{i + 1}] {wide.width}, but "
            f"{operator.name} widens; set a smaller stages[{i}].width"
        )


def _check_templates(stages: Sequence[Stage], method: str) -> None:
    if len(stages) != 2 or stages[0].members != 2:
        counts = ", ".join(str(stage.members) for stage in stages)
        raise PlanError(
            f"{method} has {len(stages)} stages of {counts} members; it joins two mixtures of "
            "templates into a plain model, once: use stages of 2 members of width '1/2' and 1 of "
            "width 1, or method='rbdc' for more"
        )
    for i, stage in enumerate(stages):
        for key, value, plain in (("depth", stage.depth, 1), ("img_size", stage.img_size, None)):
            if value != plain:
                raise PlanError(
                    f"stages[{i}] has {key}={value}, but {method} grows width only; leave {key} "
                    "out of its stages"
                )


def _fraction(value: Any, where: str) -> Fraction:
    """A share such as 1, 0.25, '1/4' or '0.25'; floats snap to the nearest simple fraction."""
    try:
        exact = Fraction(value) if not isinstance(value, bool) else None
    except (TypeError, ValueError, OverflowError, ZeroDivisionError):
        exact = None
    if exact is None or not 0 < exact <= 1:
        raise PlanError(
            f"{where} is {value!r}; it must be a fraction of the target's, above 0 and at most 1, "
            "such as 0.25 or '1/4'"
        )
    simple = exact.limit_denominator(_LARGEST_DENOMINATOR)
    if abs(simple - exact) > _WIDTH_TOLERANCE * exact:
        raise PlanError(
            f"{where} is {value!r}, which is no simple fraction; write it as a string such as '1/3'"
        )
    return simple


def _count(value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise PlanError(f"{where} is {value!r}; it must be a whole number, at least 1")
    return value


def _positive(value: Any, where: str) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value <= 0:
        raise PlanError(f"{where} is {value!r}; it must be a number above 0")
    return value


def _not_negative(value: Any, where: str) -> float:
    return 0.0 if value == 0 and not isinstance(value, bool) else _positive(value, where)


def _one_of(value: Any, choices: Sequence[str], where: str, hint: str = "") -> str:
    if value not in choices:
        raise PlanError(f"{where} is {value!r}; it must be one of {_listed(choices)}{hint}")
    return value


def _check_keys(keys: Iterable[str], known: Sequence[str], where: str) -> None:
    for key in keys:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"it may say {_listed(known)}"
            raise PlanError(f"{where} has an unknown key {key!r}; {hint}")


def _listed(words: Iterable[str]) -> str:
    return ", ".join(repr(word) for word in words) or "nothing"


def _plain(value: Any) -> Any:
    """Copy a config value into plain dicts and lists."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
