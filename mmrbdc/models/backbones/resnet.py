"""ResNets as detection backbones: MMPretrain's own, whose V1c and V1d differ from MMDetection's.

What of a ResNet trains changes its score by itself, so all rows of a comparison take one of two
policies, by name:

- ``policy='free'``: every parameter trains, and BatchNorm's statistics are kept up to date over all
  GPUs (SyncBN; MMEngine's runner makes BN of it where there is one process). For backbones trained
  here: grown, scratch and random ones get the same, and none is tied to the statistics it came
  with.
- ``policy='frozen'``: stem and first stage do not train, and BatchNorm keeps the statistics of the
  pretraining everywhere: what MMDetection's configs do with the public ResNets. Scale and shift
  of BatchNorm train in stages 2 to 4 (torchvision freezes these too). Not for random weights, whose
  stem would stay random.
"""

from typing import Any, ClassVar

from mmpretrain.models import backbones

from mmrbdc.families import architecture_from_backbone
from mmrbdc.models.backbones.transfer import TransferableBackbone
from mmrbdc.registry import MODELS

POLICIES: dict[str, dict[str, Any]] = {
    "free": dict(
        frozen_stages=-1, norm_eval=False, norm_cfg=dict(type="SyncBN", requires_grad=True)
    ),
    "frozen": dict(frozen_stages=1, norm_eval=True, norm_cfg=dict(type="BN", requires_grad=True)),
}


class _DetectionResNet(TransferableBackbone):
    """What the three ResNets share: the policy."""

    kind: ClassVar[str]
    frozen_stages: int
    norm_cfg: dict[str, Any]
    norm_eval: bool

    def __init__(self, policy: str | None = None, **kwargs: Any) -> None:
        if policy is not None:
            kwargs = {**kwargs, **policy_options(policy, kwargs)}
        super().__init__(**kwargs)
        self.policy = policy
        self.architecture = architecture_from_backbone({"type": self.kind, **kwargs})

    @property
    def training_policy(self) -> dict[str, Any]:
        """What trains, in plain JSON types: equal in all rows of a fair comparison."""
        return dict(
            name=self.policy,
            frozen_stages=self.frozen_stages,
            norm_eval=self.norm_eval,
            norm=self.norm_cfg["type"],
        )

    @property
    def num_layers(self) -> int:
        """Layers above the stem, for layer-wise lr decay."""
        return self.architecture.num_layers


def policy_options(policy: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of ``mmpretrain.ResNet`` that a policy stands for.

    Raises:
        ValueError: an unknown policy, or one of its arguments is given beside it.
    """
    if policy not in POLICIES:
        raise ValueError(
            f"policy of a ResNet is {policy!r}: choose {' or '.join(map(repr, POLICIES))}, or "
            "leave it out and give frozen_stages, norm_eval and norm_cfg yourself"
        )
    options = POLICIES[policy]
    both = [f"{name}={given[name]!r}" for name in options if name in given]
    if both:
        raise ValueError(
            f"policy={policy!r} of a ResNet sets {', '.join(options)}, but {', '.join(both)} is "
            "given too: leave out one of the two"
        )
    return options


@MODELS.register_module()
class ResNet(_DetectionResNet, backbones.ResNet):
    """MMPretrain's ``ResNet``.

    ``forward`` takes (N, 3, H, W) and returns a tuple of the maps of the stages ``out_indices``:
    strides 4, 8, 16, 32 with the usual strides.

    Args:
        policy: ``'free'``, ``'frozen'`` (see this module) or ``None``, which leaves
            ``frozen_stages``, ``norm_eval`` and ``norm_cfg`` as given (by default all trains, with
            plain BatchNorm).
        kwargs: arguments of ``mmpretrain.ResNet``; ``base_channels`` and ``stem_channels`` are the
            checkpoint's.
    """

    kind = "ResNet"


@MODELS.register_module()
class ResNetV1c(_DetectionResNet, backbones.ResNetV1c):
    """MMPretrain's ``ResNetV1c``: three 3x3 convolutions as stem; see :class:`ResNet`."""

    kind = "ResNetV1c"


@MODELS.register_module()
class ResNetV1d(_DetectionResNet, backbones.ResNetV1d):
    """MMPretrain's ``ResNetV1d``: V1c with pooling in the shortcut; see :class:`ResNet`."""

    kind = "ResNetV1d"
