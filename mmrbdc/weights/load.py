"""Loading weights into a module: everything fits, or nothing is loaded."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Any

from torch import Tensor, nn

from mmrbdc.weights.errors import WeightsError
from mmrbdc.weights.finite import check_numbers

_SHOWN = 5


@dataclass(frozen=True)
class LoadReport:
    """What a strict load did.

    Attributes:
        source: where the weights came from.
        matched: tensors of the module that were loaded.
        expected_new: tensors of the module that the file does not have, and need not.
        expected_unused: tensors of the file that the module does not have, and need not.
        parameters: number of parameters of the module (elements, buffers not counted).
        parameters_matched: how many of them were loaded.
    """

    source: str
    matched: tuple[str, ...]
    expected_new: tuple[str, ...]
    expected_unused: tuple[str, ...]
    parameters: int
    parameters_matched: int

    @property
    def share(self) -> float:
        """Share of the module's parameters that were loaded, 0 to 1."""
        return self.parameters_matched / self.parameters if self.parameters else 1.0

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types: the fields, ``share`` and the counts of tensors."""
        counts = {
            f"num_{name}": len(getattr(self, name))
            for name in ("matched", "expected_new", "expected_unused")
        }
        lists = {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}
        return {**lists, **counts, "share": self.share}

    def lines(self) -> list[str]:
        """Return the report for a reader: one line of totals, then one line per exception."""
        return [
            f"loaded {len(self.matched)} tensors, {self.parameters_matched:,} of "
            f"{self.parameters:,} parameters ({self.share:.1%}), from {self.source or 'memory'}",
            *[f"  new, as expected: {name}" for name in self.expected_new],
            *[f"  in the file and not used, as expected: {name}" for name in self.expected_unused],
        ]


def load_strict(
    module: nn.Module,
    state_dict: Mapping[str, Tensor],
    *,
    expected_new: Sequence[str] = (),
    expected_unused: Sequence[str] = (),
    source: str = "",
) -> LoadReport:
    """Copy ``state_dict`` into ``module``, names and shapes being equal, and report it.

    Args:
        module: the module to fill; untouched when anything does not fit.
        state_dict: name -> tensor.
        expected_new: patterns (``fnmatch``) of the module's names that the file may lack.
        expected_unused: patterns of the file's names that the module may lack.
        source: for the report and the error, usually the file's path.

    Raises:
        WeightsError: a missing or extra name, or another shape; names them and both shapes. Or
            values that are not finite, see :func:`mmrbdc.weights.check_numbers`.
    """
    own = module.state_dict()
    missing = [name for name in own if name not in state_dict]
    extra = [name for name in state_dict if name not in own]
    matched = [name for name in own if name in state_dict]
    problems = [
        *[f"missing in the file: {name} {tuple(own[name].shape)}" for name in missing
          if not _any_match(name, expected_new)],
        *[f"not in the model: {name} {tuple(state_dict[name].shape)}" for name in extra
          if not _any_match(name, expected_unused)],
        *[f"shape of {name}: {tuple(state_dict[name].shape)} in the file, "
          f"{tuple(own[name].shape)} in the model" for name in matched
          if state_dict[name].shape != own[name].shape],
    ]  # fmt: skip
    if problems:
        more = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        raise WeightsError(
            f"{source or 'the tensors'} do not fit {type(module).__name__}, nothing was loaded: "
            f"{'; '.join(problems[:_SHOWN] + more)}. Family, width, depth, patch size and class "
            "count of the model must be the file's."
        )
    check_numbers(state_dict, source or "the tensors")
    module.load_state_dict({name: state_dict[name] for name in matched}, strict=False)
    sizes = {name: parameter.numel() for name, parameter in module.named_parameters()}
    return LoadReport(
        source=source,
        matched=tuple(matched),
        expected_new=tuple(missing),
        expected_unused=tuple(extra),
        parameters=sum(sizes.values()),
        parameters_matched=sum(sizes.get(name, 0) for name in matched),
    )


def _any_match(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
