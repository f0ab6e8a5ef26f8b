"""How a pretrained (or grown) backbone enters a detector: strictly, once, and with a report."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from mmengine.logging import print_log
from mmengine.model import BaseModule
from mmengine.model.weight_init import update_init_info
from torch import Tensor, nn

from mmrbdc.config_parts import type_name
from mmrbdc.families import Architecture
from mmrbdc.registry import MODELS, WEIGHT_INITIALIZERS
from mmrbdc.shipped import command
from mmrbdc.weights import DataRecord, WeightsError, load_strict, read_model
from mmrbdc.weights.libraries import Recognised, recognise, stored_record


class TransferableBackbone:
    """Mixin in front of an MMPretrain backbone that lets :class:`Transferred` fill it.

    MMPretrain's backbones re-randomise parts of themselves after every initialiser that is not
    their own ``Pretrained`` (ViT its position table, ResNet its last BatchNorms); with
    ``init_cfg=dict(type='mmrbdc.Transferred', ...)`` nothing touches the weights after the load.

    Attributes:
        architecture: what the backbone is; its ``head_fields`` mean nothing.
        load_report: after a load, what was loaded, in plain JSON types (see :class:`Transferred`).
        expected_new: patterns (``fnmatch``) of tensors that no pretraining has.
        ignored_fields: fields of the architecture in which a checkpoint may differ.
    """

    architecture: Architecture
    expected_new: tuple[str, ...] = ()
    ignored_fields: tuple[str, ...] = ()
    load_report: dict[str, Any] | None = None
    init_cfg: Any

    def init_weights(self) -> None:
        """Initialise by ``init_cfg``; with ``Transferred``, by that alone.

        Raises:
            WeightsError: ``Transferred`` shares a list with other initialisers, which would
                overwrite it or be overwritten.
        """
        listed = self.init_cfg if isinstance(self.init_cfg, list | tuple) else [self.init_cfg]
        if not any(is_transferred(cfg) for cfg in listed):
            super().init_weights()  # type: ignore[misc]
            return
        if len(listed) > 1:
            raise WeightsError(
                f"init_cfg of {type(self).__name__} lists mmrbdc.Transferred beside "
                f"{len(listed) - 1} other initialisers: it fills every tensor, let it stand alone"
            )
        assert isinstance(self, BaseModule)
        BaseModule.init_weights(self)

    def adapted(self, tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
        """Return a pretraining's tensors as this backbone takes them, and the names left behind.

        Args:
            tensors: by the backbone's own names.
        """
        return tensors, ()

    def layer_of(self, name: str) -> int:
        """Return the layer of a parameter, for layer-wise lr decay: what the family says.

        Raises:
            ValueError: a name that belongs to none.
        """
        return self.architecture.layer_of(name)

    def train(self, mode: bool = True) -> "TransferableBackbone":
        """Set the mode and return the backbone, as any module does (MMPretrain's return None)."""
        super().train(mode)  # type: ignore[misc]
        return self


@WEIGHT_INITIALIZERS.register_module()
class Transferred:
    """Fill a detector's backbone from a classifier's (or a backbone's) file: all of it, or fail.

    Use it as ``init_cfg`` of ``mmrbdc.DeiT``, ``mmrbdc.ResNet``, ``ResNetV1c`` or ``ResNetV1d``::

        init_cfg=dict(
            type='mmrbdc.Transferred',
            checkpoint='work_dirs/resnet50_2step_in1k/resnet50_2step_in1k.pth',
            made_by='configs/rbdc/resnet50_2step_in1k.py')

    The file may be this package's, MMPretrain's, timm's, torchvision's, Hugging Face's or official
    DeiT's: names and shapes say which, what stands in front of the names is found, and nothing is
    guessed (see :func:`mmrbdc.weights.libraries.recognise`). Its architecture, declared or read off
    the tensors, is compared with the backbone's; one that the file declares shows what tensors do
    not (another ResNet style, another head size).

    The report is printed and kept as ``backbone.load_report``:

    - ``checkpoint``: the file's meta with ``path``, ``sha256``, ``weights``, ``prefix``,
      ``library`` and ``recognised``, the architecture in words; ``preprocessing`` and
      ``dataset_meta`` where the file, or a config of its library beside it, says them;
    - ``load``: see :class:`mmrbdc.weights.LoadReport`;
    - ``left_behind``: names of the file's tensors outside the backbone, and of those in it that
      this backbone does not take;
    - ``notes``: what may make its outputs differ from the library's.

    Args:
        checkpoint: path of the file.
        made_by: config whose training leaves that file, for the error when it is missing.
        weights: ``'raw'`` or ``'ema'``; needed for a file that has both.
        prefix: what stands in front of the backbone's names, where the file has several models or
            a name of its own for it.
        preprocessing: ``'same'``, or ``'any'`` for no warning where the detector normalises its
            images in another way than the pretraining did (see
            :class:`mmrbdc.engine.hooks.load_report.LoadReportHook`).
    """

    def __init__(
        self,
        checkpoint: str,
        made_by: str | None = None,
        weights: Literal["raw", "ema"] | None = None,
        prefix: str | None = None,
        preprocessing: Literal["same", "any"] = "same",
    ) -> None:
        if preprocessing not in ("same", "any"):
            raise WeightsError(
                f"init_cfg.preprocessing of mmrbdc.Transferred is {preprocessing!r}: choose 'same' "
                "or 'any'"
            )
        self.preprocessing = preprocessing
        self.checkpoint = checkpoint
        self.made_by = made_by
        self.weights = weights
        self.prefix = prefix

    def check_file(self) -> None:
        """Raise a WeightsError that says how to make the checkpoint when it is not there."""
        if not Path(self.checkpoint).is_file():
            how = "check init_cfg.checkpoint of the backbone"
            if self.made_by:
                how = f"make it with: {command('train', self.made_by)}"
            raise WeightsError(f"the backbone's checkpoint {self.checkpoint} does not exist; {how}")

    def __call__(self, module: nn.Module) -> None:
        """Load, mark every module below as initialised, and report.

        Raises:
            WeightsError: the file is missing, unreadable, of another family or architecture, or
                one of its tensors does not fit. The module is untouched then.
        """
        if not isinstance(module, TransferableBackbone):
            raise WeightsError(
                f"mmrbdc.Transferred is the init_cfg of a {type(module).__name__}, but fills only "
                f"backbones: {', '.join(own_backbones())}"
            )
        self.check_file()
        checkpoint = read_model(self.checkpoint, weights=self.weights)
        found = recognise(checkpoint, prefix=self.prefix, like=module.architecture)
        _check_architecture(module, found)
        try:
            tensors, dropped = module.adapted(found.backbone())
        except WeightsError as error:
            raise WeightsError(f"{self.checkpoint}: {error}") from None
        report = load_strict(
            module, tensors, expected_new=module.expected_new, source=str(self.checkpoint)
        )
        for submodule in module.modules():
            if isinstance(submodule, BaseModule):
                submodule.is_init = True
        if hasattr(module, "_params_init_info"):
            update_init_info(module, init_info=f"Transferred from {self.checkpoint}")
        left_behind = [*found.head(), *found.left_behind, *dropped]
        record, remarks = stored_record(found)
        notes = [*found.notes, *remarks]
        module.load_report = {
            "checkpoint": {
                **found.own_meta,
                **record.to_meta(),
                "path": str(self.checkpoint),
                "sha256": checkpoint.sha256,
                "weights": checkpoint.weights,
                "prefix": found.prefix,
                "library": found.library,
                "recognised": found.shapes.label,
            },
            "load": report.to_dict(),
            "left_behind": left_behind,
            "notes": notes,
        }
        lines = [*report.lines(), *_described(module.architecture, found, record, notes)]
        if left_behind:
            lines.append(f"  {len(left_behind)} tensors left behind: {_grouped(left_behind)}")
        print_log("\n".join(["backbone:", *lines]), logger="current")


def own_backbones() -> list[str]:
    """Return the names, as in a detector's config, of the backbones that can be filled."""
    kinds: Mapping[str, type] = MODELS.module_dict
    return [f"mmrbdc.{name}" for name, kind in kinds.items() if _is_transferable(kind)]


def _is_transferable(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, TransferableBackbone)


def _check_architecture(module: TransferableBackbone, found: Recognised) -> None:
    """Raise where the file is of another architecture than the backbone."""
    own = module.architecture
    ignored = (*own.head_fields, *module.ignored_fields)
    if found.declared is not None:
        label, differences = found.declared.label, own.differences(found.declared, ignore=ignored)
    else:
        label = f"{found.shapes.label} ({found.library}'s names)"
        differences = found.shapes.differences(own, ignore=ignored)
    if differences:
        raise WeightsError(
            f"{found.checkpoint.path} is {label}, the detector's backbone is {own.label}: "
            f"{'; '.join(differences)}. Give the backbone the file's architecture or another file; "
            "nothing was loaded."
        )


def _described(
    own: Architecture, found: Recognised, record: DataRecord, notes: Sequence[str]
) -> list[str]:
    """What the file is, and what had to be taken from elsewhere."""
    lines = [
        f"  {found.shapes.label} in {found.library}'s names, prefix {found.prefix!r}, "
        f"{found.checkpoint.weights} weights"
    ]
    if found.declared is None and found.shapes.untold:
        values = ", ".join(f"{name}={getattr(own, name)}" for name in found.shapes.untold)
        lines.append(f"  the file does not say, the backbone does: {values}")
    pixels = record.preprocessing
    trained = (
        f"was trained on images of {pixels.label}"
        if pixels
        else ("does not say on what images it was trained: compare mean, std and colour order")
    )
    return [*lines, f"  the file {trained}", *[f"  note: {note}" for note in notes]]


def _grouped(names: Sequence[str]) -> str:
    """Names by what they begin with: ``head (4), neck (16)``."""
    counts = Counter(name.partition(".")[0] for name in names)
    return ", ".join(f"{start} ({number})" for start, number in counts.items())


def is_transferred(cfg: Any) -> bool:
    """Whether an init_cfg is one of :class:`Transferred`."""
    return isinstance(cfg, Mapping) and type_name(cfg) == Transferred.__name__


def check_transferred_files(model_cfg: Mapping[str, Any]) -> None:
    """Look for the checkpoints that a detector's backbones will load, before anything is built.

    Raises:
        WeightsError: one does not exist; says how to make it.
    """
    for value in model_cfg.values():
        if not isinstance(value, Mapping):
            continue
        if is_transferred(value):
            arguments = {key: entry for key, entry in value.items() if key != "type"}
            Transferred(**arguments).check_file()
        else:
            check_transferred_files(value)
