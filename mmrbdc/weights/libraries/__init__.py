"""Files of other libraries: what they are, and their tensors in MMPretrain's names and back.

The names are the families' (``Family.dialects``); no library needs to be installed.
"""

from mmrbdc.weights.libraries.convert import LIBRARIES, Conversion, convert_file, from_mmpretrain
from mmrbdc.weights.libraries.recognise import Recognised, check_complete, recognise
from mmrbdc.weights.libraries.release import Release, release_backbone
from mmrbdc.weights.libraries.side_files import stored_record

__all__ = [
    "LIBRARIES",
    "Conversion",
    "Recognised",
    "Release",
    "check_complete",
    "convert_file",
    "from_mmpretrain",
    "recognise",
    "release_backbone",
    "stored_record",
]
