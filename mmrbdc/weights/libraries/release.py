"""A backbone for others: two files with a hash in their name, and what is known of them."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mmrbdc.weights.atomic import commit
from mmrbdc.weights.errors import WeightsError
from mmrbdc.weights.libraries.recognise import Recognised, check_complete, recognise
from mmrbdc.weights.libraries.side_files import stored_record
from mmrbdc.weights.publish import publish
from mmrbdc.weights.read import file_sha256, read_model
from mmrbdc.weights.record import DataRecord

FACTS = (
    "architecture",
    "method",
    "stages",
    "parents",
    "train_flops",
    "accuracy",
    "versions",
)
"""What a side-car says if the file that was read says it; null otherwise."""

_HASH = 8


@dataclass(frozen=True)
class Release:
    """A published backbone.

    Attributes:
        found: the file that it was taken from.
        paths: of what was written, by ``'pth'``, ``'safetensors'`` and ``'json'``.
        missing: facts that the file does not say, which are null in the side-car.
        record: what is known of the data of the pretraining; what is not has no entry.
        notes: how that was found out.
    """

    found: Recognised
    paths: dict[str, Path]
    missing: tuple[str, ...]
    record: DataRecord
    notes: tuple[str, ...]

    def lines(self) -> list[str]:
        """Return the report for a reader."""
        found = self.found
        dropped = len(found.head()) + len(found.left_behind)
        lines = [
            f"{found.checkpoint.path}: {found.shapes.label} in {found.library}'s names, "
            f"{found.checkpoint.weights} weights; {dropped} tensors outside the backbone left out",
            *[f"  {line}" for line in self.record.lines()],
            *[f"  note: {note}" for note in (*found.notes, *self.notes)],
        ]
        if self.missing:
            lines.append(f"not in the file, null in the side-car: {', '.join(self.missing)}")
        return [*lines, *[f"wrote {path}" for path in self.paths.values()]]


def release_backbone(
    source: str | Path,
    folder: str | Path,
    *,
    name: str | None = None,
    weights: Literal["raw", "ema"] | None = None,
    prefix: str | None = None,
) -> Release:
    """Write a file's backbone as ``NAME-HASH.pth``, ``.safetensors`` and the side-car ``.json``.

    HASH is the first 8 digits of the SHA-256 of the ``.pth``. The tensors have MMPretrain's names
    without prefix, and ``mmrbdc.Transferred`` takes both files. The three appear one after the
    other, the side-car last, each of them whole.

    Args:
        source: a file of any library, see :func:`mmrbdc.weights.libraries.recognise`.
        folder: where to write.
        name: NAME; None takes the name in the file's meta, or its stem.
        weights: ``'raw'`` or ``'ema'``, needed for a file that has both.
        prefix: what stands in front of the backbone's names; None looks for it.

    Raises:
        WeightsError: the file is not understood or not complete, or one of the three exists.
            Nothing is written then.
    """
    found = recognise(read_model(source, weights=weights), prefix=prefix)
    check_complete(found)
    folder = Path(folder)
    name = name or str(found.own_meta.get("name") or Path(source).stem)
    if "/" in name:
        raise WeightsError(f"name={name!r}: a name without folders; those belong into the folder")
    record, notes = stored_record(found)
    meta = {**_meta(found, name), **record.to_meta()}
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{name}.", dir=folder) as place:
        drafts = publish(Path(place) / name, found.backbone(), meta)
        digest = file_sha256(drafts["pth"])[:_HASH]
        paths = {kind: folder / f"{name}-{digest}.{kind}" for kind in drafts}
        for path in paths.values():
            if path.exists():
                raise WeightsError(
                    f"{path} exists already and is not overwritten; choose another --name or folder"
                )
        for kind, draft in drafts.items():
            commit(draft, paths[kind])
    missing = tuple(fact for fact in FACTS if meta[fact] is None)
    return Release(found, paths, missing, record, tuple(notes))


def _meta(found: Recognised, name: str) -> dict[str, Any]:
    own, shapes = found.own_meta, found.shapes
    meta = {fact: own.get(fact) for fact in FACTS}
    if found.declared is None and not shapes.untold:
        meta["architecture"] = shapes.architecture.to_dict()
    accuracy = meta["accuracy"]
    if isinstance(accuracy, dict) and all(value is None for value in accuracy.values()):
        meta["accuracy"] = None
    return {
        **own,
        **meta,
        "name": name,
        "family": found.family,
        "width": shapes.architecture.width,
        "weights": found.checkpoint.weights,
        "backbone_of": {"library": found.library, "sha256": found.checkpoint.sha256},
    }
