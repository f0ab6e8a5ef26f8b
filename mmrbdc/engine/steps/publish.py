"""Publishing: a trained member becomes the protocol's final model."""

import json
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process

from mmrbdc.engine.configs.plain_model import FILE_NAME, copy_plain_config
from mmrbdc.engine.steps.step import RunnableStep
from mmrbdc.plan import Member, Outcome, Publish
from mmrbdc.versions import versions
from mmrbdc.weights import publish, read_checkpoint


class PublishStep(RunnableStep[Publish]):
    """Write ``NAME.pth``, ``.safetensors`` and ``.json``, and the ledger.

    It spends nothing, and its side-car is its record.
    """

    @property
    def inputs(self) -> list[Path]:
        """The member's file."""
        return [self.protocol_run.member(Member(self.spec.stage, self.spec.member))]

    @property
    def outputs(self) -> list[Path]:
        """The final model's files and the ledger."""
        folder, name = self.protocol_run.work_dir, self.protocol_run.name
        files = [folder / f"{name}{suffix}" for suffix in (".pth", ".safetensors", ".json")]
        return [*files, folder / "ledger.json", folder / FILE_NAME]

    def done(self) -> bool:
        """Whether this very model is published, with the ledger as it is now."""
        if not all(path.is_file() for path in self.outputs):
            return False
        ledger, own = self.protocol_run.ledger(), self._read(self.outputs[2])
        found = tuple(own.get(key) for key in ("config_hash", "member", "train_flops"))
        wanted = (self.fingerprint, self.spec.member, ledger.total_flops)
        return found == wanted and self._read(self.outputs[3]) == ledger.to_dict()

    def outcome(self) -> Outcome:
        """Nothing that a method asks for."""
        return Outcome()

    def tell_done(self) -> None:
        """Say what it cost and scores."""
        meta = self._read(self.outputs[2])
        self._tell(meta["train_flops"], meta["accuracy"].get("val/top1"), "it is in")

    def run(self) -> None:
        """Write the files."""
        if not is_main_process():
            return
        run, stem = self.protocol_run, self.protocol_run.work_dir / self.protocol_run.name
        final = read_checkpoint(self.inputs[0])
        ledger = run.ledger()
        taken = [stage.name for stage in ledger.stages if stage.samples]
        ledger.write(run.work_dir / "ledger.json")
        meta = dict(
            final.meta,
            stages=[
                dict(
                    members=row.members,
                    width=row.width,
                    depth=row.depth,
                    img_size=list(row.img_size or []),
                    epochs=row.epochs,
                    flops=float(row.flops),
                )
                for row in run.plan.rows
                if row.name in taken
            ],
            train_flops=ledger.total_flops,
            wall_s=ledger.wall_s,
            seed=run.seed,
            versions=versions(),
        )
        copy_plain_config(self.setup.folder, run.work_dir)
        publish(stem, final.state_dict, meta)
        self._tell(ledger.total_flops, final.meta["accuracy"].get("val/top1"), "wrote")

    @staticmethod
    def _read(path: Path) -> dict[str, Any]:
        """What a file of ours holds; empty where that cannot be read."""
        try:
            content = json.loads(path.read_text())
        except ValueError:
            return {}
        return content if isinstance(content, dict) else {}

    def _tell(self, spent: float, top1: float | None, verb: str) -> None:
        run = self.protocol_run
        run.logger.info(
            f"{run.name}: {spent / 1e12:.3f} TFLOPs in all, "
            f"{spent / run.plan.reference.flops:.1%} of the reference, "
            f"val top-1 {'not validated' if top1 is None else f'{top1:.2f} %'}; "
            f"{verb} {run.work_dir / run.name}.pth, .safetensors, .json"
        )
