"""How far float32 arithmetic may move a result: a bound from float64, the same on every processor.

Processors differ in the order in which they add and in the convolutions that they choose, so the
distance of two float32 results, as found on one of them, bounds nothing. A property is tested in
float64 (``EXACT``). Where float32 itself is the subject, each float32 result is compared with the
float64 one, and may differ by what ``rounding`` finds.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.flop_counter import flop_registry

EXACT = 1e-10
"""Relative; float64 rounds at 1.1e-16, which leaves a factor of 1e6 for depth and length."""
DRAWS = 4
SAFETY = 4.0
"""Between the largest of a few draws and what float32 may do; errors are normal in good order."""

Result = Tensor | Mapping[str, Tensor]


class RandomRounding(TorchDispatchMode):
    """Monte Carlo arithmetic (D. S. Parker, 1997): what an operation reads is off by a little.

    An operation that adds k terms reads each of them off by ``u * sqrt(k)``, relative and at
    random, with u = 2^-24. So the sum moves by ``u * sqrt(k) * norm(terms)``, which is what k
    roundings of partial sums add up to in whatever order; what it returns is off by ``u``.
    Cancellation, norms of small variance and depth amplify these errors as they do float32's.
    Backward passes and optimizers' steps are operations as well.
    """

    def __init__(self, seed: int):
        super().__init__()
        self.draw = torch.Generator().manual_seed(seed)

    def off(self, value: Any, terms: float = 1.0) -> Any:
        if not is_double(value):
            return value
        unit = torch.finfo(torch.float32).eps / 2 * terms**0.5
        noise = torch.randn(value.shape, generator=self.draw, dtype=value.dtype)
        return value * (1 + unit * noise)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func.is_view or not any(is_double(leaf) for leaf in tree_leaves((args, kwargs))):
            return func(*args, **kwargs)
        outputs = func(*args, **kwargs)
        terms = added(func, args, kwargs, outputs)
        if func._schema.is_mutable:  # must not run twice
            written = [i for i, argument in enumerate(func._schema.arguments) if argument.is_write]
            for value in tree_leaves([args[i] for i in written if i < len(args)]):
                if is_double(value):
                    value.copy_(self.off(value, terms))
            if any(returned.alias_info for returned in func._schema.returns):
                return outputs
            return tree_map(lambda value: self.off(value, terms), outputs)
        outputs = func(*tree_map(lambda value: self.off(value, terms), args), **kwargs)
        return tree_map(self.off, outputs)


def is_double(value: Any) -> bool:
    return isinstance(value, Tensor) and value.dtype == torch.float64


def added(func: Any, args: Any, kwargs: Any, outputs: Any) -> float:
    """How many terms an operation adds for one number of its result."""
    sizes = [leaf.numel() for leaf in tree_leaves(outputs) if is_double(leaf) and leaf.numel()]
    if not sizes:
        return 1.0
    packet = func._overloadpacket
    if packet in flop_registry:
        return max(1.0, flop_registry[packet](*args, **kwargs, out_val=outputs) / 2 / min(sizes))
    return max(leaf.numel() for leaf in tree_leaves(args) if is_double(leaf)) / min(sizes)


def named(result: Result) -> Mapping[str, Tensor]:
    return {"it": result} if isinstance(result, Tensor) else result


def lengths(result: Result, other: Result) -> dict[str, float]:
    """Largest difference in each tensor."""
    one, two = named(result), named(other)
    assert one.keys() == two.keys()
    return {
        name: (one[name].double() - two[name].double()).abs().max().item()
        for name in one
        if one[name].is_floating_point()
    }


def rounding(compute: Callable[[], Result]) -> dict[str, float]:
    """How far float32 may move what ``compute`` returns, for each of its tensors.

    Args:
        compute: works in float64 and gives the same in every call; one tensor or some by name.
    """
    exact = compute()
    worst = dict.fromkeys(lengths(exact, exact), 0.0)
    for seed in range(DRAWS):
        with RandomRounding(seed):
            moved = compute()
        worst = {name: max(worst[name], far) for name, far in lengths(moved, exact).items()}
    return {name: SAFETY * far for name, far in worst.items()}


def assert_float32(
    compute: Callable[[], Result], singles: Iterable[Result], exact: Result | None = None
) -> None:
    """Each float32 result is the exact one up to what float32's arithmetic may do.

    Args:
        compute: See :func:`rounding`.
        singles: What the same computation gave in float32.
        exact: What they should be; what ``compute`` returns if not given.
    """
    exact, bounds = compute() if exact is None else exact, rounding(compute)
    for single in singles:
        for name, far in lengths(single, exact).items():
            assert far <= bounds[name], f"'{name}': off by {far:.3g}, float32 {bounds[name]:.3g}"
