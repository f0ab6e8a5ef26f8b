"""Judging the sub-nets of a supernet while it trains."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmrbdc.engine.hooks.ledger import LedgerHook
from mmrbdc.engine.junctions.growth_context import TrainingContext
from mmrbdc.engine.process.distributed import as_main_says
from mmrbdc.engine.search.found import write_search
from mmrbdc.engine.search.moving_average import MovingAverageHook
from mmrbdc.models.siblings import resized
from mmrbdc.models.supernet import Supernet
from mmrbdc.plan import Search
from mmrbdc.search import SubNet, choose
from mmrbdc.seeding import derive_seed, seed_all

_KEY = "search_judged"
_TIMED = "search_seconds"


class JudgeHook(Hook):
    """Judge all candidates at the start of a search's last epoch and after each part of it, by the
    loss of the moving average on the same plain training images, and choose at the end.

    Losses are those of training without what is random: images unaugmented and unmixed, nothing
    dropped. The main process judges, and all of them take its figures. They are in the checkpoints,
    so that no evaluation is repeated after a kill that a checkpoint has seen, and they are charged.

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
        self._kept: list[Any] | None = None

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
        found = as_main_says(lambda: self._judge(siblings))
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
        """Mean loss of each candidate."""
        member, training = siblings.members[0], siblings.training
        siblings.eval()
        losses = []
        with torch.no_grad():
            for net in self.search.candidates:
                total, images = 0.0, 0
                with siblings.only(net):
                    for batch in self._batches():
                        inputs = resized(batch["inputs"], net.img_size)
                        found = member(inputs, batch["data_samples"], mode="loss")
                        loss = sum(value for name, value in found.items() if "loss" in name)
                        total += float(loss) * len(inputs)
                        images += len(inputs)
                losses.append(total / images)
        siblings.train(training)
        return losses

    def _time(self, siblings: Supernet) -> list[float]:
        """Seconds of forward and backward of a training batch, of each candidate."""
        member = siblings.members[0]
        frozen = [p for p in member.parameters() if not p.requires_grad]
        for parameter in frozen:  # an average asks for no gradients by itself
            parameter.requires_grad_(True)
        found = [self._time_one(siblings, net) for net in self.search.candidates]
        for parameter in frozen:
            parameter.requires_grad_(False)
            parameter.grad = None
        return found

    def _time_one(self, siblings: Supernet, net: SubNet) -> float:
        spent = []
        with siblings.only(net):
            for batch in self._batches():
                begun = time.perf_counter()
                inputs = resized(batch["inputs"], net.img_size)
                losses = siblings.members[0](inputs, batch["data_samples"], mode="loss")
                sum(value for name, value in losses.items() if "loss" in name).backward()
                if torch.cuda.is_available():
                    torch.cuda.synchronize()
                spent.append(time.perf_counter() - begun)
        return sum(spent) / len(spent)

    def _batches(self) -> list[Any]:
        """The same batches every time, on the device."""
        if self._kept is None:
            seed_all("judge", self.seed)
            context = TrainingContext(self.config, self.seed)
            self._kept = list(context.batches(self.images))
        device = get_device()
        return [dict(batch, inputs=batch["inputs"].to(device)) for batch in self._kept]
