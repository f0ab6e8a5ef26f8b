"""Reading images, with the file named when it cannot be read."""

import warnings

from mmcv.transforms import LoadImageFromFile as MMCVLoadImageFromFile

from mmrbdc.datasets.errors import DataError
from mmrbdc.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadImageFromFile(MMCVLoadImageFromFile):
    """MMCV's transform; a file that cannot be read or decoded stops the run and is named.

    With ``ignore_empty=True`` a warning names it and the data set draws another sample in its
    place (training only).

    Args: as for MMCV's transform.

    Raises:
        DataError: the file is missing, empty or no image.
    """

    ignore_empty: bool

    def transform(self, results: dict) -> dict | None:
        """Add ``img`` (H, W, 3), ``img_shape`` and ``ori_shape``."""
        ignore: bool = self.ignore_empty
        self.ignore_empty = False
        try:
            return super().transform(results)
        except Exception as error:  # what a decoder raises depends on the backend
            reason = " ".join(str(error).split())
            message = f"cannot read the image {results['img_path']}: {reason}"
            if not ignore:
                raise DataError(
                    f"{message}; mend or remove the file, or set ignore_empty=True in "
                    "LoadImageFromFile to draw another image in its place"
                ) from error
            warnings.warn(f"{message}; another image is drawn in its place", stacklevel=2)
            return None
        finally:
            self.ignore_empty = ignore
