"""Judging the sub-nets of a supernet while it trains."""

import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.device import get_device
from mmengine.dist import all_reduce, get_rank, get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.utils.data import DataLoader, Subset

from mmrbdc.datasets.loading.rules import build_dataset
from mmrbdc.datasets.loading.workers import leave_sigterm_to_parent
from mmrbdc.engine.configs.run_config import ordinary_config
from mmrbdc.engine.hooks.ledger import LedgerHook
from mmrbdc.engine.inputs.plain_data import plain_training_set
from mmrbdc.engine.process.distributed import as_main_says
from mmrbdc.engine.search.found import write_search
from mmrbdc.engine.search.moving_average import MovingAverageHook
from mmrbdc.models.siblings import resized
from mmrbdc.models.supernet import Supernet
from mmrbdc.plan import Search
from mmrbdc.search import SubNet, choose
from mmrbdc.seeding import derive_seed

_KEY = "search_judged"
_TIMED = "search_seconds"
_TIMED_BATCHES = 10


class JudgeHook(Hook):
    """Judge all candidates at the start of a search's last epoch and after each part of it, by the
    loss of the moving average on the same plain training images, and choose at the end.

    Losses are those of training without what is random: images unaugmented and unmixed, nothing
    dropped. Every process judges its share of the images. The losses are in the checkpoints, so
    that no evaluation that one has seen is repeated after a kill, and all are charged. Where time
    is what a candidate costs, the main process measures it.

    Args:
        search: what is tried.
        prices: training FLOPs of an image, of each candidate.
        flops: of one evaluation of all candidates.
        points: iterations behind which they are judged.
        images: training images of an evaluation.
        config: the staged config as the stage sees it.
        seed: of the run.
        folder: where ``search.json`` is written.
        fingerprint: of the stage.
    """

    leaves_weights = True
    priority = "BELOW_NORMAL"  # behind the average, before checkpoints

    def __init__(
        self,
        search: Search,
        prices: Sequence[int],
        flops: int,
        points: Sequence[int],
        images: int,
        config: Config,
        seed: int,
        folder: Path,
        fingerprint: str,
    ) -> None:
        self.search = search
        self.prices = list(prices)
        self.flops = flops
        self.points = list(points)
        self.images = images
        self.config = config
        self.seed = derive_seed("judge", seed, search.number)
        self.folder = folder
        self.fingerprint = fingerprint

    def before_train(self, runner: Runner) -> None:
        """Judge a search of one epoch before its first iteration."""
        if runner.iter == 0:
            runner.message_hub.update_info(_KEY, [])
            runner.message_hub.update_info(_TIMED, None)
            self._judge_if_due(runner, 0)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Judge where it is time."""
        self._judge_if_due(runner, runner.iter + 1)

    def after_train(self, runner: Runner) -> None:
        """Choose, and write ``search.json``."""
        judged = runner.message_hub.get_info(_KEY)
        costs = self.prices
        if self.search.cost == "time":
            costs = runner.message_hub.get_info(_TIMED)
        losses = [[one[i] for one in judged] for i in range(len(self.search.candidates))]
        choice = choose(self.search.candidates, losses, costs)
        if is_main_process():
            unit = (
                "seconds of a training batch" if self.search.cost == "time" else "FLOPs of an image"
            )
            more = dict(
                stage=self.search.number,
                current=self.search.current,
                cost=f"{self.search.cost}: {unit}, forward and backward",
                flops=self.flops * len(judged),
                repeatable=self.search.cost == "flops",
            )
            write_search(self.folder, self.fingerprint, choice, losses, more)
        for net, loss, cost, score in zip(
            choice.candidates, choice.losses, choice.costs, choice.scores, strict=True
        ):
            runner.logger.info(f"{net}: loss {loss:.4f}, cost {cost:.4g}, score {score:.4f}")
        runner.logger.info(f"the stage goes on with {choice.chosen}")

    def _judge_if_due(self, runner: Runner, done: int) -> None:
        if done not in self.points:
            return
        siblings = next(h for h in runner.hooks if isinstance(h, MovingAverageHook)).siblings
        assert isinstance(siblings, Supernet)
        found = self._judge(siblings)
        hub = runner.message_hub
        hub.update_info(_KEY, [*hub.get_info(_KEY), found])
        if self.search.cost == "time" and hub.get_info(_TIMED) is None:
            hub.update_info(_TIMED, as_main_says(lambda: self._time(siblings)))
        ledger = next(hook for hook in runner.hooks if isinstance(hook, LedgerHook))
        ledger.charge(runner, self.flops)
        shown = ", ".join(
            f"{net} {loss:.4f}" for net, loss in zip(self.search.candidates, found, strict=True)
        )
        runner.logger.info(f"candidates after {done} iterations: {shown}")

    def _judge(self, siblings: Supernet) -> list[float]:
        """Mean loss of each candidate, over the images of all processes."""
        member, training = siblings.members[0], siblings.training
        siblings.eval()
        sums = torch.zeros(len(self.search.candidates) + 1, dtype=torch.float64)
        with torch.no_grad():
            for batch in self._batches(siblings):
                sums[-1] += len(batch["inputs"])
                for i, net in enumerate(self.search.candidates):
                    inputs = resized(batch["inputs"], net.img_size)
                    with siblings.only(net):
                        found = member(inputs, batch["data_samples"], mode="loss")
                    sums[i] += float(_total(found)) * len(inputs)
        siblings.train(training)
        sums = sums.to(get_device())
        all_reduce(sums)
        return (sums[:-1] / sums[-1]).tolist()

    def _time(self, siblings: Supernet) -> list[float]:
        """Seconds of forward and backward of a training batch, of each candidate."""
        parameters = list(siblings.members[0].parameters())
        for parameter in parameters:  # an average asks for no gradients by itself
            parameter.requires_grad_(True)
        batches = list(itertools.islice(self._batches(siblings), _TIMED_BATCHES))
        found = [self._time_one(siblings, net, batches) for net in self.search.candidates]
        for parameter in parameters:
            parameter.requires_grad_(False)
            parameter.grad = None
        return found

    @staticmethod
    def _time_one(siblings: Supernet, net: SubNet, batches: Sequence[Any]) -> float:
        spent = []
        with siblings.only(net):
            for batch in [batches[0], *batches]:  # the first time is not counted
                begun = time.perf_counter()
                inputs = resized(batch["inputs"], net.img_size)
                losses = siblings.members[0](inputs, batch["data_samples"], mode="loss")
                _total(losses).backward()
                if torch.cuda.is_available():
                    torch.cuda.synchronize()
                spent.append(time.perf_counter() - begun)
        return sum(spent[1:]) / len(batches)

    @cached_property
    def _share(self) -> Subset:
        """This process's share of the images; listing a data set once takes long enough."""
        dataset = build_dataset(plain_training_set(ordinary_config(self.config)))
        generator = torch.Generator().manual_seed(self.seed)
        orders = (torch.randperm(len(dataset), generator=generator) for _ in itertools.count())
        order = itertools.chain.from_iterable(one.tolist() for one in orders)
        chosen = list(itertools.islice(order, self.images))[get_rank() :: get_world_size()]
        return Subset(dataset, chosen)

    def _batches(self, siblings: Supernet) -> Iterator[Any]:
        """The images, the same every time, normalised."""
        loader = self.config.train_dataloader
        batches = DataLoader(
            self._share,
            batch_size=loader.batch_size,
            num_workers=loader.get("num_workers", 0),
            collate_fn=pseudo_collate,
            worker_init_fn=leave_sigterm_to_parent,
        )
        for batch in batches:
            yield siblings.data_preprocessor.base(batch, training=True)


def _total(losses: Mapping[str, Any]) -> Any:
    return sum(value for name, value in losses.items() if "loss" in name)
