"""Run a growth operator: check the parents, grow, check the child, report."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from mmrbdc.growth.context import Context, Work
from mmrbdc.growth.errors import GrowthError
from mmrbdc.growth.layout import Layout
from mmrbdc.growth.maps.blocks import parent_sizes
from mmrbdc.growth.maps.templates import has_templates, template_layout
from mmrbdc.growth.operators import (
    aki,
    averaging,
    block_diagonal,
    firefly,
    gradmax,
    keep,
    mixture_growth,
    net2net,
    reinit,
    self_coupling,
    tiling,
)
from mmrbdc.growth.operators.blocks import assembly, concatenation, extraction, incubation
from mmrbdc.growth.placement import Placement
from mmrbdc.growth.report import GrowthReport, make_report
from mmrbdc.shipped import command

StateDict = Mapping[str, Tensor]

DEFAULT_OPERATOR = "block-diagonal"
"""The paper's rule."""


@dataclass(frozen=True)
class Operator:
    """A growth operator and its account of itself.

    Attributes:
        name: what configs and command lines call it.
        grow: makes the child's state dict: ``grow(parents, layout, *, generator, context)``, where
            ``layout`` is the child's, and its ``options`` behind. ``context`` is for operators that
            need data, see :class:`Context`; most ignore it.
        describe: says, from the child's layout and the parents' space sizes, what ``grow`` does
            with each tensor.
        parents: ``one`` to widen, any wider child; ``sum``: two or more whose widths sum to the
            child's; ``behind``: of its width and fewer blocks, which the operator lays behind each
            other; ``deeper``: of its width and more blocks.
        work: of an operator that needs a context: what it costs, from the child's layout, the
            parent's space sizes and the images of an epoch.
        inner: whether it grows the inner widths of blocks and leaves the width as it is.
        parent_weights: what the parents' state dicts hold: ``plain`` weights under the child's
            names, or ``templates``, see ``mmrbdc.growth.maps.templates``.
        options: names of the whole numbers that ``grow`` and ``describe`` take beside these, for an
            operator that makes each child of a stage otherwise.
    """

    name: str
    grow: Callable[..., dict[str, Tensor]]
    describe: Callable[..., dict[str, Placement]]
    parents: Literal["one", "sum", "behind", "deeper"]
    work: Callable[[Layout, Mapping[str, int], int], list[Work]] | None = None
    inner: bool = False
    parent_weights: Literal["plain", "templates"] = "plain"
    options: tuple[str, ...] = ()

    def space_sizes(self, layout: Layout, parent: StateDict, who: str) -> dict[str, int]:
        """Infer from the tensors of a parent how large each of its spaces is.

        Args:
            layout: the child's.
            parent: the parent's tensors.
            who: what messages call the parent.

        Raises:
            GrowthError: plain weights where templates are needed, or the other way round, and as
                ``Layout.space_sizes``.
        """
        if self.parent_weights == "plain":
            if has_templates(parent):
                raise GrowthError(
                    f"{who} holds mixtures of templates, and '{self.name}' grows plain weights; "
                    f"grow it with {' or '.join(mixture_growth.OFF_DIAGONALS)}"
                )
            if self.parents == "behind":
                return parent_sizes(layout, parent, who)
            if self.parents == "deeper":
                parent = extraction.within(layout, parent)
            return layout.space_sizes(parent, who)
        if not has_templates(parent):
            raise GrowthError(
                f"{who} holds plain weights, and '{self.name}' grows mixtures of templates; train "
                f"its parents as such: a protocol with protocol.method='{self.name}' leaves them "
                f"in members/ of its first stage ({command('train', 'CONFIG', '--stage', 0)} "
                "trains them alone)"
            )
        return template_layout(layout).space_sizes(parent, who)


OPERATORS: dict[str, Operator] = {
    operator.name: operator
    for operator in (
        Operator(DEFAULT_OPERATOR, block_diagonal.grow, block_diagonal.describe, "sum"),
        Operator(averaging.NAME, averaging.grow, averaging.describe, "sum"),
        Operator(self_coupling.NAME, self_coupling.grow, self_coupling.describe, "one"),
        Operator(net2net.NAME, net2net.grow, net2net.describe, "one"),
        Operator("net2net-noise", net2net.grow_with_noise, net2net.describe, "one"),
        Operator(tiling.NAME, tiling.grow, tiling.describe, "one"),
        Operator(aki.NAME, aki.grow, aki.describe, "one"),
        Operator(gradmax.NAME, gradmax.grow, gradmax.describe, "one", gradmax.work, inner=True),
        Operator(firefly.NAME, firefly.grow, firefly.describe, "one", firefly.work, inner=True),
        Operator(keep.NAME, keep.grow, keep.describe, "one"),
        Operator(concatenation.NAME, concatenation.grow, concatenation.describe, "behind"),
        Operator(
            incubation.NAME,
            incubation.grow,
            incubation.describe,
            "behind",
            incubation.work,
            options=incubation.OPTIONS,
        ),
        Operator(
            extraction.NAME,
            extraction.grow,
            extraction.describe,
            "deeper",
            options=extraction.OPTIONS,
        ),
        Operator(assembly.NAME, assembly.grow, assembly.describe, "behind"),
        Operator(reinit.NAME, reinit.grow, reinit.describe, "one", reinit.work),
        *(
            Operator(
                name,
                partial(mixture_growth.grow, off_diagonal=rule),
                mixture_growth.describe,
                "sum",
                parent_weights="templates",
            )
            for name, rule in mixture_growth.OFF_DIAGONALS.items()
        ),
    )
}
"""All growth operators by name."""


def register_operator(operator: Operator) -> None:
    """Add an operator from outside of this package; configs name its module in ``custom_imports``.

    Raises:
        GrowthError: there is one of that name.
    """
    if operator.name in OPERATORS:
        raise GrowthError(
            f"there is a growth operator '{operator.name}' already; give yours another name"
        )
    OPERATORS[operator.name] = operator


def import_operators(modules: Sequence[str], option: str) -> None:
    """Import modules that register operators from outside of this package.

    Args:
        modules: their names.
        option: what messages call the place where they are named.

    Raises:
        GrowthError: one cannot be imported.
    """
    for module in modules:
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise GrowthError(
                f"{option} {module}: {error}; is the folder of your module in PYTHONPATH?"
            ) from error


@dataclass(frozen=True)
class GrowthResult:
    """A grown child.

    Attributes:
        state_dict: its tensors.
        report: what was done.
    """

    state_dict: dict[str, Tensor]
    report: GrowthReport


def get_operator(name: str) -> Operator:
    """Look an operator up.

    Raises:
        GrowthError: there is none of that name.
    """
    if name not in OPERATORS:
        raise GrowthError(
            f"unknown growth operator '{name}'; there is {', '.join(sorted(OPERATORS))}"
        )
    return OPERATORS[name]


def grow(
    parents: Sequence[StateDict],
    layout: Layout,
    *,
    operator: str = DEFAULT_OPERATOR,
    generator: torch.Generator | None = None,
    context: Context | None = None,
    allow_equal: bool = False,
    names: Sequence[str] | None = None,
    options: Mapping[str, int] | None = None,
) -> GrowthResult:
    """Grow parents into a child.

    Args:
        parents: state dicts, in the order in which they are placed.
        layout: the child's.
        operator: name of the growth operator.
        generator: source of randomness of operators that draw.
        context: passed to the operator; some cannot do without.
        allow_equal: accept parents with the same weights.
        names: what messages call the parents, e.g. their paths; their indices by default.
        options: of an operator that has some.

    Returns:
        The child and the report.

    Raises:
        GrowthError: no parents, a parent that does not fit the layout, two equal parents, parents
            of different dtypes, or parents that the operator refuses.
    """
    chosen = get_operator(operator)
    names = list(names) if names is not None else [f"parent {i}" for i in range(len(parents))]
    if not parents:
        raise GrowthError(f"growth operator '{operator}' got no parents; name at least one")
    sizes = [
        chosen.space_sizes(layout, parent, who) for parent, who in zip(parents, names, strict=True)
    ]
    _check_dtypes(parents, names)
    if not allow_equal:
        _check_different(parents, names)
    options = check_options(chosen, options)
    placements = chosen.describe(layout, sizes, **options)
    if chosen.work is not None and context is None:
        raise GrowthError(
            f"{operator} needs training images and the recipe; use it in a protocol "
            f"(protocol.method='{operator}'), or give {command('grow')} a whole config "
            "as --config"
        )
    child = chosen.grow(parents, layout, generator=generator, context=context, **options)
    _check_child(child, layout, operator)
    return GrowthResult(child, make_report(operator, layout, sizes, placements, child))


def check_options(operator: Operator, options: Mapping[str, int] | None) -> dict[str, int]:
    """Return an operator's options.

    Raises:
        GrowthError: some are missing, or others are given.
    """
    given = dict(options or {})
    if given.keys() != set(operator.options):
        raise GrowthError(
            f"operator '{operator.name}' takes {', '.join(operator.options) or 'no options'}, got "
            f"{', '.join(given) or 'none'}; a protocol's method gives them"
        )
    return given


def _check_dtypes(parents: Sequence[StateDict], names: Sequence[str]) -> None:
    for name, first in parents[0].items():
        for parent, who in zip(parents[1:], names[1:], strict=True):
            if name in parent and parent[name].dtype != first.dtype:
                raise GrowthError(
                    f"'{name}' is {first.dtype} in {names[0]} and {parent[name].dtype} in {who}; "
                    "convert the files to one dtype"
                )


def _check_different(parents: Sequence[StateDict], names: Sequence[str]) -> None:
    for i, one in enumerate(parents):
        for j in range(i + 1, len(parents)):
            other = parents[j]
            if one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one):
                raise GrowthError(
                    f"{names[i]} and {names[j]} hold the same weights; coupling a model with "
                    "itself adds no capacity that training can use. Name different parents, or "
                    "allow equal ones (allow_equal=True, --allow-equal-parents)"
                )


def _check_child(child: StateDict, layout: Layout, operator: str) -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in child.items()}
    expected = {name: layout.shape(name) for name in layout.entries}
    for name in expected.keys() | shapes.keys():
        if shapes.get(name) != expected.get(name):
            raise GrowthError(
                f"operator '{operator}' made '{name}' with shape {shapes.get(name)}, the child's "
                f"layout says {expected.get(name)}: a mistake in the operator"
            )
