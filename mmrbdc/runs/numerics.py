"""With which numerics a protocol was trained, from what its ``plan.json`` keeps of each stage."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_NONE = "none"
_DEFAULT = "torch's default"
_MMPRETRAINS_CROP = "cv2"


def numerics_of(stages: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What decides how numbers are rounded and pixels resized, but for the machine.

    Args:
        stages: ``fingerprints`` of a ``plan.json``, one per stage.

    Returns:
        Value by name, of several where the stages differ; the same names for every protocol.
    """
    found = [_of_stage(stage) for stage in stages]
    names = list(found[0]) if found else []
    return {name: ", then ".join(dict.fromkeys(one[name] for one in found)) for name in names}


def _of_stage(stage: Mapping[str, Any]) -> dict[str, str]:
    optim, model = (stage.get(key) or {} for key in ("optim_wrapper", "model"))
    crop = _crop(stage.get("train_dataloader") or {})
    return {
        "autocast": optim.get("autocast_dtype") or _NONE,
        "float32 on GPUs": stage.get("float32_precision") or _DEFAULT,
        "members": model.get("compute") or "loop",
        "channels-last": _yes(model.get("channels_last")),
        "compiled": _yes(stage.get("compile")),
        "crops resized by": crop.get("backend") or (_MMPRETRAINS_CROP if crop else _NONE),
        "DCT-scaled decoding": _yes(crop.get("dct_scaling")),
    }


def _crop(loader: Mapping[str, Any]) -> Mapping[str, Any]:
    dataset: Any = loader.get("dataset") or {}
    while isinstance(dataset, Mapping) and "pipeline" not in dataset and "dataset" in dataset:
        dataset = dataset["dataset"]
    steps = dataset.get("pipeline") if isinstance(dataset, Mapping) else None
    return next((step for step in _flat(steps) if "RandomResizedCrop" in str(step.get("type"))), {})


def _flat(steps: Any) -> Iterator[Mapping[str, Any]]:
    """The transforms of a pipeline, also those in lists in it."""
    for step in steps if isinstance(steps, list | tuple) else ():
        if isinstance(step, Mapping):
            yield step
        yield from _flat(step)


def _yes(value: Any) -> str:
    return "yes" if value else "no"
