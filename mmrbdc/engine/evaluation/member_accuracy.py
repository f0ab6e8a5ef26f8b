"""Accuracy of one member among siblings."""

from collections.abc import Sequence
from typing import Any

from mmpretrain.evaluation import Accuracy

from mmrbdc.registry import METRICS


@METRICS.register_module()
class MemberAccuracy(Accuracy):
    """Top-1 accuracy of one member, beside the ensemble's plain ``Accuracy``.

    Args:
        position: which entry of the samples' ``member_labels`` to read.
        index: the member's number in its stage; the metric is called ``member<index>/top1``.
    """

    def __init__(self, position: int, index: int, collect_device: str = "cpu") -> None:
        super().__init__(topk=(1,), collect_device=collect_device, prefix=f"member{index}")
        self.position = position

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep the member's predicted label and the true one, each of shape (1,)."""
        for sample in data_samples:
            label = sample["member_labels"][self.position : self.position + 1]
            self.results.append(dict(pred_label=label.cpu(), gt_label=sample["gt_label"].cpu()))
