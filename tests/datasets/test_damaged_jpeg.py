"""JPEGs that libjpeg decodes on behind damaged data: the check says so, no library beside it."""

import io
import os
import signal

import cv2
import numpy as np
import pytest
from PIL import Image

from mmrbdc.datasets.pictures.check import Examination, check_pictures, picture_lines
from mmrbdc.datasets.pictures.load import LoadImageFromFile

DRAW = np.random.default_rng(1)
SMOOTH = cv2.GaussianBlur(DRAW.integers(0, 255, (160, 240, 3), dtype=np.uint8), (0, 0), 3)


def jpeg(**options):
    content = io.BytesIO()
    Image.fromarray(SMOOTH).save(content, "JPEG", **options)
    return bytearray(content.getvalue())


def zeroed(content):
    middle = len(content) // 2
    content[middle : middle + 60] = bytes(60)
    return content


def noise(content):
    middle = 2 * len(content) // 3
    content[middle : middle + 300] = DRAW.bytes(300)
    return content


def without_a_part(content):
    middle = len(content) // 2
    return content[:middle] + content[middle + 150 :]


@pytest.mark.parametrize("damage", [zeroed, noise, without_a_part])
@pytest.mark.parametrize("number", [1, 70])
def test_damage_in_the_middle_is_told(tmp_path, capfd, damage, number):
    """Training reads it, so it is no error; an undamaged one beside it bears no remark (the twin).
    Few and many pictures alike.
    """
    good, bad = tmp_path / "good.jpg", tmp_path / "bad.jpg"
    good.write_bytes(jpeg(quality=90))
    bad.write_bytes(damage(jpeg(quality=90)))
    found = check_pictures([str(good)] * number + [str(bad)], Examination())
    assert [p.error for p in found] == [None] * (number + 1)
    assert [bool(p.findings) for p in found] == [False] * number + [True]
    errors, (remark,) = picture_lines(found)
    assert errors == [] and remark.startswith("1 picture with damaged JPEG data: ")
    assert f"({str(bad)!r}: Corrupt JPEG data: " in remark
    assert capfd.readouterr() == ("", "")
    assert LoadImageFromFile()(dict(img_path=str(bad)))["img"].shape == (160, 240, 3)


BROKEN = {
    "cut.png": cv2.imencode(".png", SMOOTH)[1].tobytes()[:3000],
    "cut.tif": cv2.imencode(".tif", SMOOTH)[1].tobytes()[:900],
    "empty.jpg": b"",
    "words.jpg": b"no picture",
}


@pytest.mark.parametrize("name", BROKEN)
def test_only_the_check_speaks_of_a_broken_picture(tmp_path, capfd, name):
    path = tmp_path / name
    path.write_bytes(BROKEN[name])
    (picture,) = check_pictures([str(path)], Examination())
    assert "cannot be decoded" in picture.error
    assert capfd.readouterr() == ("", "")


class Deadly(Examination):
    """A decoder that ends its process."""

    def __call__(self, path):
        if path.endswith("2.png"):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(path)


def test_a_decoder_that_dies_of_one_of_few_pictures(tmp_path):
    paths = [str(tmp_path / f"{number}.png") for number in range(4)]
    for path in paths:
        cv2.imwrite(path, SMOOTH)
    found = check_pictures(paths, Deadly())
    assert [p.error for p in found] == [None, None, "kills the process of its decoder", None]


class Buggy(Examination):
    def __call__(self, path):
        raise KeyError(path)


def test_a_fault_of_the_program_is_no_fault_of_a_picture(tmp_path):
    with pytest.raises(KeyError, match="a.png"):
        check_pictures([str(tmp_path / "a.png")], Buggy())


def test_no_pictures_need_no_process():
    assert check_pictures([], Examination()) == []
