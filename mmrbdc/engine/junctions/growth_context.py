"""What operators that grow with data are given: training images, the loss, and the bill."""

import copy
import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import torch
from mmengine.config import Config
from mmengine.device import get_device
from torch import Tensor
from torch.func import functional_call

from mmrbdc.datasets.loading.rules import build_dataset
from mmrbdc.engine.configs.run_config import ordinary_config
from mmrbdc.engine.cost.model_cost import training_flops_at
from mmrbdc.engine.inputs.image_size import input_size
from mmrbdc.engine.inputs.plain_data import plain_training_set
from mmrbdc.families import architecture_from_config
from mmrbdc.registry import MODELS
from mmrbdc.seeding import derive_seed, seed_all


class TrainingContext:
    """A :class:`mmrbdc.growth.Context` from a config: its images, its classifier, its loss.

    Images come unaugmented and unmixed, shuffled by the seed. The classifier stays in eval mode but
    for the norms, where an operator asks for that, so nothing is drawn. One process works with all
    of the data; the others must wait for its result.

    Args:
        config: the staged config as the child's stage sees it, or an ordinary one of MMPretrain.
        seed: of the shuffling and of the initial weights.

    Attributes:
        flops: of all losses and their gradients so far.
    """

    def __init__(self, config: Config, seed: int) -> None:
        run = ordinary_config(config)
        self.seed = seed
        self.flops = 0
        self._model_cfg = run.model
        self._image_size = input_size(run)
        self._layout = architecture_from_config(run.model).layout()
        self._prices: dict[tuple[tuple[int, ...], frozenset[str]], int] = {}
        self._batch_size = run.train_dataloader.batch_size
        self._run = run
        self._classifier = MODELS.build(self._bare_model()).to(get_device()).eval()

    @cached_property
    def _dataset(self) -> Any:
        return build_dataset(plain_training_set(self._run))

    @property
    def samples(self) -> int:
        """Images in one epoch."""
        return len(self._dataset)

    def batches(self, images: int, size: int | None = None) -> Iterator[Any]:
        """Give training batches; see :class:`mmrbdc.growth.Context`."""
        generator = torch.Generator().manual_seed(derive_seed("growth-data", self.seed))
        order = itertools.chain.from_iterable(
            torch.randperm(self.samples, generator=generator).tolist() for _ in itertools.count()
        )
        size = size or self._batch_size
        for start in range(0, images, size):
            chosen = itertools.islice(order, min(size, images - start))
            samples = [self._dataset[index] for index in chosen]
            batch = {key: [sample[key] for sample in samples] for key in samples[0]}
            yield self._classifier.data_preprocessor(batch, training=True)

    def loss(self, state: Mapping[str, Tensor], batch: Any, *, training: bool = False) -> Tensor:
        """Return the mean training loss of a batch; see :class:`mmrbdc.growth.Context`."""
        sizes = self._layout.space_sizes(state, "the grown network")
        trained = frozenset(name for name, tensor in state.items() if tensor.requires_grad)
        self.flops += len(batch["inputs"]) * self._price(sizes, trained)
        device = get_device()
        moved = {
            name: tensor.detach().clone().to(device)
            if self._layout.entries[name].role in ("statistic", "counter")
            else tensor.to(device)
            for name, tensor in state.items()
        }
        with _norms_in_training(self._classifier, training):
            losses = functional_call(
                self._classifier,
                moved,
                (batch["inputs"].to(next(iter(moved.values())).dtype), batch["data_samples"]),
                dict(mode="loss"),
            )
        return sum(value for name, value in losses.items() if "loss" in name).cpu()

    def initial(self) -> dict[str, Tensor]:
        """Return the classifier's tensors as the recipe initialises them, from the seed."""
        seed_all("growth-initial", self.seed)
        model = MODELS.build(self._bare_model())
        model.init_weights()
        return model.state_dict()

    def _bare_model(self) -> dict[str, Any]:
        """The classifier's config without batch augmentations.

        Where they made the loss one of soft labels it still is: of one-hot ones.
        """
        config = copy.deepcopy(self._model_cfg.to_dict())
        mixed = (config.pop("train_cfg", None) or {}).get("augments")
        preprocessor = config.get("data_preprocessor") or {}
        if preprocessor.pop("batch_augments", None) or mixed:
            config["data_preprocessor"] = dict(preprocessor, to_onehot=True)
        return config

    def _price(self, sizes: Mapping[str, int], trained: frozenset[str]) -> int:
        key = (tuple(sizes.values()), trained)
        if key not in self._prices:
            self._prices[key] = training_flops_at(self._model_cfg, self._image_size, sizes, trained)
        return self._prices[key]


@contextmanager
def _norms_in_training(model: torch.nn.Module, training: bool) -> Iterator[None]:
    norms = [m for m in model.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.train(training)
    try:
        yield
    finally:
        for norm in norms:
            norm.eval()
