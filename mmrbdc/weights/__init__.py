"""Files in and out: read safely, load strictly with a report, write atomically.

Nothing here unpickles code, and nothing here needs an mm package: a training checkpoint written by
stock MMEngine is understood as well.
"""

from mmrbdc.weights.atomic import atomic_write, write_json, write_text
from mmrbdc.weights.errors import WeightsError
from mmrbdc.weights.finite import check_numbers
from mmrbdc.weights.load import LoadReport, load_strict
from mmrbdc.weights.member import save_member
from mmrbdc.weights.publish import publish
from mmrbdc.weights.read import Checkpoint, read_checkpoint, read_meta, read_model, safe_load
from mmrbdc.weights.record import DataRecord, Preprocessing

__all__ = [
    "Checkpoint",
    "DataRecord",
    "LoadReport",
    "Preprocessing",
    "WeightsError",
    "atomic_write",
    "check_numbers",
    "load_strict",
    "publish",
    "read_checkpoint",
    "read_meta",
    "read_model",
    "safe_load",
    "save_member",
    "write_json",
    "write_text",
]
