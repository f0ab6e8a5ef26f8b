"""``load_from``: a file that fills the whole model before the first step, and what of it fits.

MMEngine loads what has the model's names and shapes and passes over the rest, whatever it is. Here
the backbone has to fit; what does not fit elsewhere, as the heads of a detector of other classes,
is named.
"""

import logging
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner
from mmengine.runner.checkpoint import CheckpointLoader
from torch import Tensor, nn

from mmrbdc.models.wrappers import unwrapped
from mmrbdc.weights import WeightsError, safe_load
from mmrbdc.weights.read import chosen_weights
from mmrbdc.weights.stock import stock_files_readable

_SHOWN = 5
_OTHER_SHAPE = re.compile(
    r"size mismatch for (\S+): copying a param with shape torch\.Size\((.*?)\) from checkpoint, "
    r"the shape in current model is torch\.Size\((.*?)\)"
)
_ENCODER = "backbone."
_COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class Beginning:
    """The file that a run begins from.

    Attributes:
        source: its path or address, as the config has it.
        state_dict: name -> tensor on the CPU, without wrapper prefixes.
        meta: the file's, empty when it has none.
        weights: ``'raw'`` or ``'ema'``: which of the two the tensors are.
    """

    source: str
    state_dict: dict[str, Tensor]
    meta: dict[str, Any]
    weights: str


@dataclass(frozen=True)
class Fit:
    """What a file and a model have in common.

    Attributes:
        weights: ``'raw'`` or ``'ema'``: which of the two were loaded.
        matched: how many tensors of the model were loaded.
        other_shape: tensors that both have, in other shapes: name -> the file's, the model's.
        missing: tensors of the model that the file does not have.
        unused: tensors of the file that the model does not have.
    """

    weights: str
    matched: int
    other_shape: dict[str, list[list[int]]]
    missing: list[str]
    unused: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return asdict(self)

    def problems(self, prefix: str = "") -> list[str]:
        """Say what does not fit, one text a kind; of names that begin with ``prefix``."""
        changed = [
            f"{name} {tuple(theirs)} in the file, {tuple(ours)} in the model"
            for name, (theirs, ours) in self.other_shape.items()
            if name.startswith(prefix)
        ]
        missing = [name for name in self.missing if name.startswith(prefix)]
        unused = [name for name in self.unused if name.startswith(prefix)]
        kinds = {
            "of another shape": changed,
            "missing in the file": missing,
            "of the file that are not in the model": unused,
        }
        return [f"{len(names):,} {kind} ({_some(names)})" for kind, names in kinds.items() if names]

    def line(self, source: str) -> str:
        """Say what was loaded and what was not."""
        total = self.matched + len(self.other_shape) + len(self.missing)
        average = " (the moving average that it holds)" if self.weights == "ema" else ""
        loaded = f"load_from: {self.matched:,} of the model's {total:,} tensors are those of "
        problems = self.problems()
        if not problems:
            return f"{loaded}{source}{average}"
        return (
            f"{loaded}{source}{average}; not loaded are {'; '.join(problems)}. The model's own of "
            "these start as it was initialised"
        )


def read_load_from(cfg: Config) -> Beginning | None:
    """Read the file of a config's ``load_from``; None where there is none, or the run goes on.

    Of a file that holds raw weights and their moving average it is the average, MMEngine's
    ``state_dict``.

    Raises:
        WeightsError: it is not there, no checkpoint, or holds code or values that are not finite.
    """
    source = cfg.get("load_from")
    if not source or cfg.get("resume"):
        return None
    try:
        content = _fetch(source) if "://" in str(source) else safe_load(source)
        both = isinstance(content, Mapping) and {"state_dict", "ema_state_dict"} <= content.keys()
        chosen = chosen_weights(content, str(source), "ema" if both else None)
    except (WeightsError, OSError, TypeError) as error:
        raise WeightsError(f"load_from: {error}") from error
    return Beginning(str(source), *chosen)


def load_what_fits(model: nn.Module, beginning: Beginning) -> Fit:
    """Load a file's tensors into a model, whose backbone it has to fit wholly.

    Names are those that the model's own hooks for old files make of them. Counters of BatchNorm may
    be missing.

    Raises:
        WeightsError: nothing fits, or the backbone is another one; the model is of no use then.
    """
    source = beginning.source
    missing: list[str] = []
    unused: list[str] = []

    def note(module: nn.Module, keys: Any) -> None:
        missing.extend(keys.missing_keys)
        unused.extend(keys.unexpected_keys)

    handle = model.register_load_state_dict_post_hook(note)
    other_shape: dict[str, list[list[int]]] = {}
    try:
        model.load_state_dict(beginning.state_dict, strict=False)
    except RuntimeError as error:
        lines = str(error).splitlines()[1:]
        found = [_OTHER_SHAPE.search(line) for line in lines]
        if not lines or not all(found):
            raise WeightsError(f"load_from={source} cannot be loaded: {error}") from error
        other_shape = {match[1]: [_size(match[2]), _size(match[3])] for match in found if match}
    finally:
        handle.remove()
    loaded = {
        name
        for name in model.state_dict().keys() - other_shape.keys() - set(missing)
        # BatchNorm takes 0 for a counter that an old file does not have.
        if not name.endswith(_COUNTER) or name in beginning.state_dict
    }
    fit = Fit(
        weights=beginning.weights,
        matched=len(loaded),
        other_shape=other_shape,
        missing=[name for name in missing if not name.endswith(_COUNTER)],
        unused=unused,
    )
    if not fit.matched:
        raise WeightsError(
            f"load_from={source} is not of such a model, not one tensor fits: "
            f"{'; '.join(fit.problems())}. Give a checkpoint of the whole model; weights of the "
            "backbone alone belong into model.backbone.init_cfg"
        )
    if wrong := fit.problems(_ENCODER):
        raise WeightsError(
            f"load_from={source} does not fit the model's backbone: {'; '.join(wrong)}. Give a "
            "checkpoint of a model with this backbone; only other parts may differ"
        )
    return fit


class LoadFromRunner(Runner):
    """MMEngine's ``Runner`` that begins with what :func:`read_load_from` has read, and says in its
    log what of it does not fit.
    """

    beginning: Beginning | None = None
    """What ``load_from`` holds; None for a run that goes on, or begins from no file."""

    fit: Fit | None = None
    """What of it was loaded."""

    def load_checkpoint(self, filename: str, *args: Any, **kwargs: Any) -> Any:
        """Load ``beginning`` before the first step; a resumed run's own file is MMEngine's matter.

        Raises:
            WeightsError: it does not fit.
        """
        if self.beginning is None:
            return super().load_checkpoint(filename, *args, **kwargs)
        begun, self.beginning = self.beginning, None
        checkpoint = {"state_dict": begun.state_dict, "meta": begun.meta}
        self.call_hook("after_load_checkpoint", checkpoint=checkpoint)
        self.fit = load_what_fits(unwrapped(self.model), begun)
        level = logging.WARNING if self.fit.problems() else logging.INFO
        self.logger.log(level, self.fit.line(begun.source))
        self._has_loaded = True
        return checkpoint


def _fetch(address: str) -> Any:
    """Read a file from elsewhere as MMEngine does, which keeps a copy."""
    try:
        with stock_files_readable():
            return CheckpointLoader.load_checkpoint(address, map_location="cpu")
    except Exception as error:  # of the network, of a storage or of the file
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise WeightsError(f"{address} cannot be fetched ({reason}); give a local file") from error


def _size(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return f"{shown}, and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else shown
