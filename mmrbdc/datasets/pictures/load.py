"""Reading images, with the file named when it cannot be read."""

import warnings
from collections.abc import Mapping
from typing import Any

import cv2
import mmcv
import numpy as np
from mmcv.transforms import LoadImageFromFile as MMCVLoadImageFromFile
from mmengine import fileio

from mmrbdc.datasets.errors import DataError
from mmrbdc.datasets.pictures.crop import DrawnPart, RandomResizedCrop
from mmrbdc.datasets.pictures.header import (
    MAX_PIXELS,
    is_damaged,
    kind_of,
    may_be_turned,
    read_size,
)
from mmrbdc.registry import TRANSFORMS
from mmrbdc.shipped import command

ALL_AT_ONCE = f"`{command('check-data', 'CONFIG')}` finds all such pictures before a run"
_REDUCED = {
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}


@TRANSFORMS.register_module()
class LoadImageFromFile(MMCVLoadImageFromFile):
    """MMCV's transform; a file that cannot be read or decoded stops the run and is named.

    With ``ignore_empty=True`` a warning names it and the data set draws another sample in its
    place, where it trains. A validation or test scores all images, so there it stops too.

    Args:
        max_pixels: a picture that claims more is refused before it is decoded.
        args: the others are MMCV's, and so is what they do.

    Raises:
        DataError: the file is missing, empty, no image, or too large; or the data set says its
            ``height`` and ``width``, as those in COCO's format do, and the picture has others.
    """

    ignore_empty: bool
    max_pixels = MAX_PIXELS
    training = True
    """Whether a training loop reads; :func:`mmrbdc.datasets.loading.rules.read_by_rules` says
    so."""
    crop: RandomResizedCrop | None = None
    """What draws a part of the picture before it is decoded, so that it may be decoded smaller."""

    def __init__(self, *args: Any, max_pixels: int = MAX_PIXELS, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.max_pixels = max_pixels

    @classmethod
    def like(cls, stock: MMCVLoadImageFromFile) -> "LoadImageFromFile":
        """One that reads as MMCV's does which is given."""
        ours = cls()
        ours.__dict__.update(stock.__dict__)
        return ours

    def transform(self, results: dict) -> dict | None:
        """Add ``img`` (H, W, 3), ``img_shape`` and ``ori_shape``."""
        path = results["img_path"]
        try:
            content = self.read(path)
            image, part = self._load(content)
        except DataError as error:
            message = f"cannot read the image {path}: {error}"
            if not (self.ignore_empty and self.training):
                way = f"{_how_to_go_on(results)}{self._other_way()}"
                raise DataError(f"{message}; {way}. {ALL_AT_ONCE}") from error
            warnings.warn(f"{message}; another image is drawn in its place", stacklevel=2)
            return None
        results["img_shape"] = results["ori_shape"] = image.shape[:2]
        if part:
            results["crop_box"], results["ori_shape"] = part.box, part.whole
        _check_stated_size(results)
        if self.to_float32:
            image = image.astype(np.float32)
        results["img"] = image
        return results

    def _load(self, content: bytes) -> tuple[np.ndarray, DrawnPart | None]:
        """The picture, and which part of it is to be taken; None where that is drawn later."""
        known = self._known_size(content)
        part = None
        if (
            self.crop is not None
            and known is not None
            and known[0] == "JPEG"
            and (self.color_type, self.imdecode_backend) == ("color", "cv2")
            and not may_be_turned(content)
        ):
            width, height = known[1]
            part = self.crop.draw(height, width)
        return self._decoded(content, known is not None, part.divisor if part else 1), part

    def _other_way(self) -> str:
        if self.training:
            return (
                ", or set ignore_empty=True in LoadImageFromFile to draw another image in its place"
            )
        if self.ignore_empty:
            return " (ignore_empty=True holds in training only: a score is of all images)"
        return ""

    def read(self, path: str) -> bytes:
        """The file's bytes.

        Raises:
            DataError: it cannot be read.
        """
        try:
            if self.file_client_args is not None:
                client = fileio.FileClient.infer_client(self.file_client_args, path)
                return client.get(path)
            return fileio.get(path, backend_args=self.backend_args)
        except Exception as error:  # what a storage raises depends on it
            raise DataError(reason_of(error)) from error

    def decode(self, content: bytes) -> np.ndarray:
        """The picture, (H, W, 3) unless ``color_type`` asks for another.

        Raises:
            DataError: the bytes are no picture that the decoder reads, or one with too many pixels.
        """
        return self._decoded(content, self._known_size(content) is not None)

    def _known_size(self, content: bytes) -> tuple[str, tuple[int, int]] | None:
        """Format and size as the header has them, looked at."""
        known = read_size(content)
        if known is not None:
            self.check_size(known[1])
        return known

    def _decoded(self, content: bytes, known: bool, divisor: int = 1) -> np.ndarray:
        """Decode bytes whose header was looked at, the sides divided by 1, 2, 4 or 8."""
        if is_damaged(content, known):
            raise DataError(kind_of(content))
        try:
            if divisor > 1:
                image = cv2.imdecode(np.frombuffer(content, np.uint8), _REDUCED[divisor])
            else:
                image = mmcv.imfrombytes(
                    content, flag=self.color_type, backend=self.imdecode_backend
                )
        except Exception as error:  # what a decoder raises depends on the backend
            raise DataError(f"{kind_of(content)} ({reason_of(error)})") from error
        if image is None:
            raise DataError(kind_of(content))
        return image

    def check_size(self, size: tuple[int, int]) -> None:
        """Look at width and height as the header has them.

        Raises:
            DataError: more pixels than ``max_pixels``.
        """
        width, height = size
        if width * height > self.max_pixels:
            raise DataError(
                f"it claims {width} x {height} px, more than max_pixels={self.max_pixels:,}; a "
                "picture that is meant to be so large needs a larger max_pixels in "
                "mmrbdc.LoadImageFromFile"
            )


def _check_stated_size(results: Mapping[str, Any]) -> None:
    """Compare a picture as it was decoded, turned by its EXIF mark where that is the rule, with
    the size that the annotations state and that their boxes and masks are drawn for.
    """
    stated = results.get("width"), results.get("height")
    height, width = results["ori_shape"]
    if None in stated or stated == (width, height):
        return
    raise DataError(
        f"the picture {results['img_path']} is {width} x {height} px, but the annotations say "
        f"width {stated[0]} and height {stated[1]}, so that their boxes and masks lie elsewhere in "
        "it; correct width, height and the image's annotations, or bring the picture to that size"
    )


def _how_to_go_on(results: Mapping[str, Any]) -> str:
    """What to do about an image that cannot be read, by where it is listed."""
    if "img_id" in results:  # COCO's; a file that is gone is still looked for
        return (
            "mend the file, or take the image out of the annotation file: its entry of 'images' "
            f"(id {results['img_id']}) and the annotations with this image_id"
        )
    return "mend or remove the file (with its line, where a list names it)"


def reason_of(error: Exception) -> str:
    """An error's message in one line; of OpenCV's only what failed, not where in its sources."""
    text = f"OpenCV: {error.err}" if isinstance(error, cv2.error) and error.err else str(error)
    return " ".join(text.split()) or type(error).__name__
