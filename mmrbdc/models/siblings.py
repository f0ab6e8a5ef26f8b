"""The members of one stage, trained in lockstep on one stream of decoded batches."""

import copy
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from mmengine.dist import get_rank
from mmengine.logging import MessageHub
from mmengine.model import BaseDataPreprocessor, BaseModel, BaseModule
from mmpretrain.models.utils.batch_augments import RandomBatchAugment
from mmpretrain.structures import DataSample
from torch.nn import functional

from mmrbdc.models.channels_last import check_channels_last, set_memory_format
from mmrbdc.models.frozen import freeze, frozen_norms
from mmrbdc.models.stacked import check_stackable, stacked_losses
from mmrbdc.registry import MODELS
from mmrbdc.seeding import seed_all

COMPUTE = ("loop", "stacked")


@torch.compiler.disable
def _seed_draw(kind: str, *seeds: int) -> None:
    """Seed all generators for what is drawn from ``seeds`` in this iteration on this rank."""
    iteration = MessageHub.get_current_instance().get_info("iter", 0)
    seed_all(kind, *seeds, iteration, get_rank())


def resized(images: torch.Tensor, size: int | None) -> torch.Tensor:
    """Images (N, C, H, W) of that height and width, resized bilinearly and without antialiasing;
    as they are where they have it, or it is ``None``.
    """
    if size is None or images.shape[-2:] == (size, size):
        return images
    return functional.interpolate(images, (size, size), mode="bilinear", align_corners=False)


@MODELS.register_module()
class SiblingsDataPreprocessor(BaseDataPreprocessor):
    """Normalise a batch once, then mix it once per member.

    Args:
        base: config of the classifier's own preprocessor, without batch augmentations.
        seeds: one seed per member; member ``i`` draws its mixup from
            ``(seeds[i], iteration, rank)``, so it draws the same alone as among others.
        batch_augments: arguments of MMPretrain's ``RandomBatchAugment`` (``augments``, ``probs``),
            or ``None``. They need one-hot labels, which ``base`` is told to make.
        channels_last: give out images in torch's channels-last memory format.
        image_size: height and width in pixels to which images are resized behind the
            normalisation, bilinearly and without antialiasing as AutoProg's released code does;
            ``None`` leaves them as they are.

    Attributes:
        training_size: says another size for every iteration of training; ``None`` for none.
    """

    def __init__(
        self,
        base: dict,
        seeds: Sequence[int],
        batch_augments: dict | None = None,
        channels_last: bool = False,
        image_size: int | None = None,
    ):
        super().__init__(non_blocking=True)
        base = dict(base)
        self.batch_augments = None
        if batch_augments:
            self.batch_augments = RandomBatchAugment(**copy.deepcopy(batch_augments))
            base["to_onehot"] = True
        self.base = MODELS.build(base)
        self.seeds = list(seeds)
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.image_size = image_size
        self.training_size: Callable[[], int] | None = None

    def forward(self, data: dict, training: bool = False) -> dict:
        """Return ``inputs`` (N, 3, H, W) and ``data_samples`` (N); in training, lists by member."""
        if not training:
            return self._normalise(data, training)
        data = self._normalise(data, training)
        inputs, samples = [], []
        for seed in self.seeds:
            member_inputs, member_samples = self._mix(data, seed)
            inputs.append(member_inputs)
            samples.append(member_samples)
        return dict(inputs=inputs, data_samples=samples)

    def _normalise(self, data: dict, training: bool) -> dict:
        data = self.base(dict(data, inputs=self.cast_data(data["inputs"])), training=training)
        size = self.training_size() if training and self.training_size else self.image_size
        inputs = resized(data["inputs"], size)
        return dict(data, inputs=inputs.contiguous(memory_format=self.memory_format))

    # Inductor draws otherwise, and torch 2.11's fails on Mixup's permutation.
    @torch.compiler.disable
    def _mix(self, data: dict, seed: int) -> tuple[torch.Tensor, list[DataSample]]:
        if self.batch_augments is None:
            return data["inputs"], data["data_samples"]
        _seed_draw("mixup", seed)
        scores = torch.stack([sample.gt_score for sample in data["data_samples"]])
        # CutMix writes into its argument; the other members need the batch as it was.
        inputs, scores = self.batch_augments(data["inputs"].clone(), scores)
        samples = []
        for sample, score in zip(data["data_samples"], scores, strict=True):
            mixed = DataSample()
            if "gt_label" in sample:
                mixed.set_gt_label(sample.gt_label)
            mixed.set_gt_score(score)
            samples.append(mixed)
        return inputs, samples


@MODELS.register_module()
class Siblings(BaseModel):
    """k classifiers of one configuration that share their batches and nothing else.

    The loss is the sum of the members' losses, so one backward pass gives every member exactly its
    own gradient. A member's construction, initialisation, mixup and drop-path are seeded from its
    own seed and the iteration: a member trained among others equals the member trained alone on
    the same batches. ``train_step`` and ``val_step`` are MMEngine's own, so
    DistributedDataParallel works as usual.

    Args:
        member: config of the classifier (an MMPretrain ``ImageClassifier``). Its
            ``data_preprocessor`` and ``train_cfg`` (batch augmentations) become the shared
            preprocessor.
        seeds: one seed per member.
        indices: the members' numbers within their stage, where only some are trained here.
            Defaults to ``0 .. k-1``.
        init_cfgs: one initialiser config a member (``dict(type='mmrbdc.Grown', ...)``), or
            ``None`` for the member's own initialisation.
        compute: ``'loop'`` runs one member after another. ``'stacked'`` runs all at once
            (``torch.func``), with the loop's gradients up to rounding; drop-path is then drawn
            for all members together, so that a member equals the member trained alone only
            without drop-path, and only up to rounding. It serves training; validation is a loop.
        channels_last: keep weights and images in torch's channels-last memory format, which
            changes results by rounding only.
        frozen: names of the modules or parameters that each member keeps as they are, one list per
            member; default none. BatchNorms in them keep their statistics; drop-path draws as
            elsewhere. Not with ``'stacked'``.
        image_size: height and width in pixels to which the preprocessor resizes all images;
            ``None`` leaves them as they are.

    Raises:
        ValueError: arguments that do not fit each other, or a part that a member does not have.
    """

    def __init__(
        self,
        member: dict,
        seeds: Sequence[int],
        indices: Sequence[int] | None = None,
        init_cfgs: Sequence[dict | None] | None = None,
        compute: str = "loop",
        channels_last: bool = False,
        frozen: Sequence[Sequence[str]] | None = None,
        image_size: int | None = None,
    ) -> None:
        if not seeds or len(set(seeds)) != len(seeds):
            raise ValueError(
                f"Siblings needs one seed per member, all different; got {list(seeds)}"
            )
        self.seeds = list(seeds)
        self.indices = list(range(len(self.seeds)) if indices is None else indices)
        init_cfgs = [None] * len(self.seeds) if init_cfgs is None else list(init_cfgs)
        if not len(self.indices) == len(init_cfgs) == len(self.seeds):
            raise ValueError(
                f"Siblings: {len(self.seeds)} seeds, {len(self.indices)} indices and "
                f"{len(init_cfgs)} init_cfgs; give one of each per member"
            )
        if compute not in COMPUTE:
            raise ValueError(f"Siblings: compute is 'loop' or 'stacked', got {compute!r}")
        frozen = [()] * len(self.seeds) if frozen is None else frozen
        if len(frozen) != len(self.seeds):
            raise ValueError(
                f"Siblings: {len(self.seeds)} seeds and {len(frozen)} lists of frozen parts; give "
                "one list per member"
            )
        if any(frozen) and compute == "stacked":
            raise ValueError(
                "Siblings: members with frozen parts differ from each other, which compute="
                "'stacked' cannot do; set compute='loop' (lockstep.compute in a staged config)"
            )
        self.compute = compute
        member = copy.deepcopy(dict(member))
        preprocessor = dict(member.pop("data_preprocessor", None) or {})
        preprocessor.setdefault("type", "ClsDataPreprocessor")
        train_cfg = member.pop("train_cfg", None)
        augments = preprocessor.pop("batch_augments", None) or train_cfg
        super().__init__(
            data_preprocessor=SiblingsDataPreprocessor(
                base=preprocessor,
                seeds=self.seeds,
                batch_augments=augments,
                channels_last=channels_last,
                image_size=image_size,
            )
        )
        self.members = torch.nn.ModuleList()
        for seed, init_cfg in zip(self.seeds, init_cfgs, strict=True):
            seed_all("construction", seed)
            config = copy.deepcopy(member)
            if init_cfg is not None:
                config["init_cfg"] = init_cfg
            self.members.append(MODELS.build(config))
        for index, own, names in zip(self.indices, self.members, frozen, strict=True):
            freeze(own, names, f"member {index}")
        if compute == "stacked":
            check_stackable(self.members[0])
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        if channels_last:
            check_channels_last(self.members)
            set_memory_format(self.members, self.memory_format)

    def train(self, mode: bool = True) -> "Siblings":
        """Set the mode of all but frozen BatchNorms, which stay in evaluation mode."""
        super().train(mode)
        for norm in frozen_norms(self):
            norm.eval()
        return self

    def init_weights(self) -> None:
        """Initialise every member from its own seed."""
        # Random values fill a tensor in the order of its memory.
        set_memory_format(self.members, torch.contiguous_format)
        for seed, member in zip(self.seeds, self.members, strict=True):
            seed_all("initialisation", seed)
            cast(BaseModule, member).init_weights()
        set_memory_format(self.members, self.memory_format)

    def member_state_dict(self, position: int) -> dict[str, torch.Tensor]:
        """The state dict of the member at ``position``, under a plain classifier's keys."""
        return self.members[position].state_dict()

    def forward(
        self,
        inputs: torch.Tensor | list[torch.Tensor],
        data_samples: list | None = None,
        mode: str = "tensor",
    ) -> torch.Tensor | dict[str, torch.Tensor] | list[DataSample]:
        """Per-member losses, predictions of members and ensemble, or the members' logits.

        Args:
            inputs: (N, 3, H, W), or in mode ``loss`` a list of k such tensors.
            data_samples: N samples, or in mode ``loss`` a list of k lists.
            mode: ``loss`` gives ``member<i>.loss`` and so on for every member; ``predict`` gives
                samples with the ensemble's ``pred_score`` and ``pred_label`` and the members'
                predicted labels in ``member_labels``; ``tensor`` gives the stacked logits (k, N,
                classes).
        """
        if mode == "loss":
            return self._losses(inputs, data_samples)
        logits = torch.stack([member(inputs, mode="tensor") for member in self.members])
        if mode == "tensor":
            return logits
        if mode == "predict":
            return self._predict(logits, data_samples)
        raise ValueError(f"Siblings.forward: mode is 'loss', 'predict' or 'tensor', got {mode!r}")

    def _losses(self, inputs: Any, data_samples: Any) -> dict[str, torch.Tensor]:
        if self.compute == "stacked" and len(self.members) > 1:
            _seed_draw("forward", *self.seeds)
            losses = stacked_losses(list(self.members), inputs, data_samples)
        else:
            losses = []
            for position, (seed, member) in enumerate(zip(self.seeds, self.members, strict=True)):
                _seed_draw("forward", seed)
                losses.append(member(inputs[position], data_samples[position], mode="loss"))
        return {
            f"member{index}.{name}": value
            for index, own in zip(self.indices, losses, strict=True)
            for name, value in own.items()
        }

    def _predict(self, logits: torch.Tensor, data_samples: list | None) -> list[DataSample]:
        head: Any = self.members[0].head
        predictions = head._get_predictions(logits.mean(dim=0), data_samples)
        labels = logits.argmax(dim=-1)
        for position, sample in enumerate(predictions):
            sample.set_field(labels[:, position], "member_labels")
        return predictions
