"""What a detector was trained and tested with, as far as it may change the scores."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmrbdc.config_parts import class_name
from mmrbdc.datasets.configs import stock_name
from mmrbdc.datasets.splits import split_of_test
from mmrbdc.engine.configs.loading import read_config_file
from mmrbdc.engine.process.precision import float32_precision
from mmrbdc.families import FAMILIES
from mmrbdc.runs.errors import AnalysisError
from mmrbdc.runs.pretraining import TRAINED_BY
from mmrbdc.runs.records import Record, read_record

_TRAINING = ("model", "train_dataloader", "train_cfg", "optim_wrapper", "param_scheduler",
             "auto_scale_lr", "custom_hooks")  # fmt: skip
_NO_MATTER = re.compile(
    r"model\.backbone\.(init_cfg|pretrained)\b"  # the very thing that is compared
    r"|optim_wrapper\.optimizer\.lr$"  # the grid
    r"|model\.test_cfg\b"  # the test may have had another
    r"|test\.dataloader\.dataset\.(data_root|data_prefix|ann_file)\b"  # compared by their hash
    r"|train_cfg\.val_|.*\.(num_workers|persistent_workers|pin_memory|prefetch_factor)$"
)
SHOWN = 6
"""Settings in which recipes differ, that a message names."""
_WEIGHT_KEYS = ("checkpoint", "pretrained", "teacher_ckpt")
_WEIGHT_FILES = (".pth", ".pt", ".ckpt", ".bin", ".safetensors")


@dataclass(frozen=True)
class Recipe:
    """One detector's config, read.

    Attributes:
        family: of the backbone.
        detector: class of the detector, e.g. ``MaskRCNN``.
        seed: of the config.
        lr: learning rate; None where the training's config was not kept.
        weights: dotted key -> file, of all weights that entered the model before training, the
            backbone's ``init_cfg`` included; ``load_from`` is of the whole model.
        tested_on: the split that its test reads, ``'validation'`` or ``'training'`` where that is
            the same data; None where the training's config was not kept.
        settings: dotted key -> value, of all that should be equal between the rows of a comparison;
            empty where the training's config was not kept.
    """

    family: str
    detector: str
    seed: int | None
    lr: float | None
    settings: Mapping[str, Any]
    weights: Mapping[str, str] = field(default_factory=dict)
    tested_on: str | None = None

    def differing(self, other: "Recipe") -> list[str]:
        """Name the first settings in which two known recipes differ, with both values."""
        if not self.settings or not other.settings:
            return []
        keys = sorted(self.settings.keys() | other.settings.keys())
        pairs = {
            key: [shown_setting(recipe.settings, key) for recipe in (self, other)] for key in keys
        }
        told = [f"{key}: {a} and {b}" for key, (a, b) in pairs.items() if a != b]
        return told[:SHOWN] + ([f"and {len(told) - SHOWN} more"] if len(told) > SHOWN else [])


def shown_setting(settings: Mapping[str, Any], key: str) -> str:
    """Show a setting's value, shortened, or that it is not set."""
    if key not in settings:
        return "not set"
    text = repr(settings[key])
    return text if len(text) <= 60 else text[:57] + "..."


def read_recipe(config: Path, training: Path) -> Recipe:
    """Read a detector's config.

    Args:
        config: the dump in its work dir, which testing writes again without the training's parts.
        training: ``train_config.json``, which training leaves; it may be missing.

    Raises:
        AnalysisError: a file is unreadable or not of a detector of a known family.
    """
    try:
        dumped = read_config_file(config)
        kind, detector = dumped.model.backbone.type, dumped.model.get("type", "")
        seed = dumped.get("randomness", {}).get("seed")
        tested = dumped.to_dict()
    except (SyntaxError, AttributeError, KeyError, TypeError) as error:
        raise AnalysisError(
            f"{config} is not a readable detector config ({error}); it is written by {TRAINED_BY}"
        ) from error
    lr, settings, weights, tested_on = None, {}, {}, None
    if training.exists():
        record = read_record(training, TRAINED_BY)
        lr = _lr(record)
        content = {key: record.value(key) for key in _TRAINING}
        content["model"] = record.record("model").fields
        if precision := float32_precision({"env_cfg": record.value("env_cfg")}):
            content["float32_precision"] = precision
        content["test"] = {
            "model": tested["model"].get("test_cfg"),
            "dataloader": tested.get("test_dataloader"),
        }
        settings = {
            key: stock_name(value) for key, value in _flat(content) if not _NO_MATTER.match(key)
        }
        weights = _weights(record, config.parent)
        if "load_from" in weights:
            settings["load_from"] = weights["load_from"]
        loaders = (record.value(f"{name}_dataloader") for name in ("val", "train"))
        tested_on = split_of_test(tested.get("test_dataloader"), *loaders)
    family = _family(str(kind), config)
    return Recipe(family, class_name(detector), seed, lr, settings, weights, tested_on)


def _weights(record: Record, work_dir: Path) -> dict[str, str]:
    """Find the files that a training's config fills the model from, other than its own."""
    found = {
        key: value
        for key, value in _flat({"model": record.value("model")})
        if isinstance(value, str) and _is_weights(key, value)
    }
    given = record.value("load_from")
    if given and work_dir.resolve() not in Path(given).resolve().parents:
        found["load_from"] = str(given)
    return found


def _is_weights(key: str, value: str) -> bool:
    return key.rpartition(".")[-1] in _WEIGHT_KEYS or value.endswith(_WEIGHT_FILES)


def _lr(record: Record) -> float:
    return record.record("optim_wrapper").record("optimizer").number("lr")


def _family(kind: str, path: Path) -> str:
    name = class_name(kind)
    for family, architecture in FAMILIES.items():
        if name.lower().startswith(family) or name in architecture.backbone_types:
            return family
    raise AnalysisError(
        f"{path}: the backbone {kind!r} is of no known family; known: {', '.join(FAMILIES)}"
    )


def _flat(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of nested dicts and lists of dicts with their dotted keys."""
    if isinstance(value, Mapping) and value:
        items: Any = value.items()
    elif isinstance(value, list | tuple) and any(isinstance(v, Mapping) for v in value):
        items = enumerate(value)
    else:
        yield key, list(value) if isinstance(value, tuple) else value
        return
    for name, inner in items:
        yield from _flat(inner, f"{key}.{name}" if key else str(name))
