"""Pictures that are not simple: the check's verdict is the loader's, and remarks tell the rest."""

import io
import os
import resource
import signal
import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from mmrbdc.datasets import DataError, LoadImageFromFile
from mmrbdc.datasets.pictures.check import Examination, check_pictures, picture_lines
from mmrbdc.datasets.pictures.header import MAX_PIXELS, kind_of

DRAW = np.random.default_rng(0)
RGB = Image.fromarray(
    cv2.GaussianBlur(DRAW.integers(0, 255, (40, 60, 3), dtype=np.uint8), (0, 0), 3)
)
GLASS = RGB.convert("RGBA")
GLASS.putalpha(100)
OTHER = Image.fromarray(255 - np.asarray(RGB))


def encoded(image=RGB, kind="PNG", **options):
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def deep(kind, colours, high):
    shape = (40, 60, 3) if colours else (40, 60)
    return cv2.imencode(kind, DRAW.integers(0, high, shape, dtype=np.uint16))[1].tobytes()


def exif(orientation):
    block = Image.Exif()
    block[274] = orientation
    return block


def several(kind):
    return encoded(RGB, kind, save_all=True, append_images=[OTHER, RGB])


def profile(name):
    made = ImageCms.ImageCmsProfile(ImageCms.createProfile(name))
    return made.tobytes()


SIMPLE = {
    "a.png": encoded(),
    "a.jpg": encoded(kind="JPEG"),
    "progressive.jpeg": encoded(kind="JPEG", progressive=True),
    "a.bmp": encoded(kind="BMP"),
    "a.tif": encoded(kind="TIFF"),
    "a.webp": encoded(kind="WEBP"),
    "a.ppm": encoded(kind="PPM"),
    "srgb.png": encoded(icc_profile=profile("sRGB")),
}
KINDS = {
    "turned.jpg": (encoded(kind="JPEG", exif=exif(6)), "EXIF orientation"),
    "mirrored.webp": (encoded(kind="WEBP", exif=exif(2)), "EXIF orientation"),
    "turned.png": (encoded(exif=exif(8)), "EXIF orientation"),
    "16bit.png": (deep(".png", True, 65535), "more than 8 bits a channel, of which"),
    "16bit-grey.png": (deep(".png", False, 65535), "more than 8 bits a channel, of which"),
    "16bit.tif": (deep(".tif", True, 65535), "more than 8 bits a channel, of which"),
    "microscope.tif": (deep(".tif", False, 4095), "nearly black"),
    "camera.png": (deep(".png", True, 4095), "nearly black"),
    "rgba.png": (encoded(GLASS), "transparency"),
    "grey-alpha.png": (encoded(RGB.convert("LA")), "transparency"),
    "palette.png": (encoded(RGB.convert("P"), transparency=3), "transparency"),
    "one-colour.png": (encoded(transparency=(1, 2, 3)), "transparency"),
    "rgba.webp": (encoded(GLASS, "WEBP"), "transparency"),
    "grey.jpg": (encoded(RGB.convert("L"), "JPEG"), "in grey"),
    "grey.bmp": (encoded(RGB.convert("L"), "BMP"), "in grey"),
    "print.jpg": (encoded(RGB.convert("CMYK"), "JPEG"), "in CMYK"),
    "print.tif": (encoded(RGB.convert("CMYK"), "TIFF"), "in CMYK"),
    "lab.tif": (encoded(RGB.convert("LAB"), "TIFF"), "in Lab"),
    "fax.tif": (encoded(RGB.convert("1"), "TIFF", compression="group4"), "of one bit"),
    "mask.png": (encoded(RGB.convert("1")), "of one bit"),
    "animated.gif": (several("GIF"), "several frames"),
    "animated.png": (several("PNG"), "several frames"),
    "animated.webp": (several("WEBP"), "several frames"),
    "pages.tif": (several("TIFF"), "several frames"),
    "stereo.jpg": (several("MPO"), "several frames"),
    "wide.png": (encoded(icc_profile=profile("LAB")), "colour profile that is not sRGB"),
    "odd.jpg": (encoded(kind="JPEG", icc_profile=b"broken"), "colour profile that is not sRGB"),
    "really-webp.jpg": (encoded(kind="WEBP"), "another kind than the name says"),
    "really-jpeg.png": (encoded(kind="JPEG"), "another kind than the name says"),
    "strip.png": (encoded(RGB.resize((600, 10))), "times as long as wide"),
}


@pytest.mark.parametrize("name", SIMPLE)
def test_simple_pictures_bear_no_remark(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(SIMPLE[name])
    picture = Examination()(str(path))
    assert picture.error is None and picture.findings == () and picture.size == (60, 40)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("fast", [False, True])
def test_what_loading_changes_is_told(name, tmp_path, fast):
    content, expected = KINDS[name]
    path = tmp_path / name
    path.write_bytes(content)
    picture = Examination(fast=fast)(str(path))
    if fast and expected == "nearly black":
        expected = "more than 8 bits"
    assert picture.error is None
    assert any(expected in finding for finding in picture.findings), picture.findings
    shape = LoadImageFromFile()(dict(img_path=str(path)))["img_shape"]
    assert picture.size == shape[::-1]  # of an annotation file, whether decoded or not


def test_remarks_are_counted_by_kind_with_an_example(tmp_path):
    paths = []
    for name in ("grey.jpg", "grey.bmp", "rgba.png", "wide.png"):
        paths.append(str(tmp_path / name))
        (tmp_path / name).write_bytes(KINDS[name][0])
    errors, remarks = picture_lines(check_pictures(paths, Examination()))
    assert errors == []
    assert remarks[0] == f"2 pictures in grey: three equal channels are loaded ({paths[0]!r})"
    assert any(line.endswith("wide.png': Lab identity built-in)") for line in remarks)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def claims(kind, width, height):
    """A small file whose header claims a size."""
    if kind == "png":
        head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        data = chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
        return b"\x89PNG\r\n\x1a\n" + head + data
    content = bytearray(encoded(kind={"jpg": "JPEG"}.get(kind, kind.upper())))
    if kind == "bmp":
        content[18:26] = struct.pack("<ii", width, height)
    elif kind == "gif":
        content[6:10] = struct.pack("<HH", width, height)
        at = content.index(b"\x2c", 13)
        content[at + 5 : at + 9] = struct.pack("<HH", width, height)
    elif kind == "jpg":
        at = content.index(b"\xff\xc0")
        content[at + 5 : at + 9] = struct.pack(">HH", height, width)
    elif kind == "tiff":
        image = Image.new("1", (1, 1))
        content = bytearray(encoded(image, "TIFF"))
        for tag, value in ((256, width), (257, height)):
            entry = struct.pack("<HHI", tag, 4, 1)
            at = content.index(entry)
            content[at + 8 : at + 12] = struct.pack("<I", value)
    elif kind == "ppm":
        content = bytearray(f"P6 {width} {height} 255\n".encode() + bytes(100))
    return bytes(content)


@pytest.mark.parametrize("kind", ["png", "bmp", "gif", "jpg", "tiff", "ppm"])
def test_a_decompression_bomb_is_refused_before_it_is_decoded(kind, tmp_path):
    width, height = 60_000, 50_000
    path = tmp_path / f"bomb.{kind}"
    path.write_bytes(claims(kind, width, height))
    message = f"60000 x 50000 px, more than max_pixels={MAX_PIXELS:,}"
    for fast in (False, True):
        assert message in Examination(fast=fast)(str(path)).error
    with pytest.raises(DataError, match=rf"bomb\.{kind}: it claims {message}"):
        LoadImageFromFile()(dict(img_path=str(path)))


def test_large_pictures_can_be_allowed(tmp_path):
    path = tmp_path / "map.png"
    path.write_bytes(encoded())
    small = [dict(type="LoadImageFromFile", max_pixels=2399)]
    assert "more than max_pixels=2,399" in Examination(small)(str(path)).error
    assert Examination([dict(small[0], max_pixels=2400)])(str(path)).error is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS pointer"),
        (b"<!DOCTYPE html><html>404</html>", "web page"),
        (b"\n <svg xmlns='x'/>", "SVG"),
        (b"%PDF-1.7", "PDF"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1", "HEIC"),
        (b"PK\x03\x04abc", "ZIP"),
        (b"hello", "not a picture of a known kind"),
        (encoded(kind="JPEG")[:300], "begins as JPEG"),
        (encoded()[:200], "begins as PNG of 60 x 40 px, but is cut"),
    ],
)
def test_what_no_decoder_reads_is_called_by_its_kind(content, message, tmp_path):
    (tmp_path / "x.jpg").write_bytes(content)
    assert message in kind_of(content)
    assert message in Examination()(str(tmp_path / "x.jpg")).error


def test_one_damaged_length_does_not_ask_for_gigabytes(tmp_path):
    """OpenCV takes the length of a PNG's chunk for what it has to allocate."""
    content = bytearray(encoded())
    at = content.index(b"IDAT") - 4
    content[at : at + 4] = struct.pack(">I", 0x7F000000)
    (tmp_path / "x.png").write_bytes(content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "begins as PNG" in Examination()(str(tmp_path / "x.png")).error
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # KiB


MMDET = [
    [dict(type="LoadImageFromFile"), dict(type="Resize", scale=(1333, 800), keep_ratio=True)],
    [dict(type="RandomResize", scale=[(1333, 640), (1333, 800)], keep_ratio=True)],
    [dict(type="RandomResize", scale=(1024, 1024), ratio_range=(0.1, 2.0), keep_ratio=True)],
    [dict(type="RandomChoiceResize", scales=[(400, 4200), (300, 600)], keep_ratio=True)],
    [dict(type="mmdet.Resize", scale=(300, 300), keep_ratio=True), dict(type="RandomFlip")],
]


@pytest.mark.parametrize("pipeline", MMDET)
@pytest.mark.parametrize("size", [(5000, 1), (1, 9000), (3000, 1)])
def test_a_strip_that_is_scaled_away_is_found(pipeline, size, tmp_path):
    path = tmp_path / "strip.png"
    path.write_bytes(encoded(Image.new("RGB", size)))
    for fast in (False, True):
        error = Examination(pipeline, scope="mmdet", fast=fast)(str(path)).error
        assert f"of {size[0]} x {size[1]} px cannot be scaled by " in error


@pytest.mark.parametrize(
    "pipeline",
    [
        [dict(type="Resize", scale=(224, 224))],
        [dict(type="ResizeEdge", scale=64, edge="short")],
        [dict(type="RandomResizedCrop", scale=224)],
        [dict(type="RandomCrop", crop_size=1), dict(type="Resize", scale=9, keep_ratio=True)],
    ],
)
def test_a_strip_that_is_not_scaled_away_is_no_error(pipeline, tmp_path):
    path = tmp_path / "strip.png"
    path.write_bytes(encoded(Image.new("RGB", (3000, 1))))
    assert Examination(pipeline)(str(path)).error is None


class Deadly(Examination):
    """A decoder with a bug of the kind that ends the process."""

    def __call__(self, path):
        if path.endswith("77.png"):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(path)


def test_pictures_are_looked_at_where_opencv_has_threads_already(tmp_path):
    """A fork has none of its parent's; the parent keeps as many as it had."""
    paths = [str(tmp_path / f"{i}.png") for i in range(80)]
    for path in paths:
        with open(path, "wb") as file:
            file.write(SIMPLE["a.png"])
    threads = cv2.getNumThreads()
    try:
        cv2.setNumThreads(4)
        cv2.GaussianBlur(np.zeros((2000, 2000, 3), np.uint8), (15, 15), 3)
        assert [picture.error for picture in check_pictures(paths, Examination())] == [None] * 80
        assert cv2.getNumThreads() == 4
    finally:
        cv2.setNumThreads(threads)


def test_a_picture_that_kills_its_decoder_is_found(tmp_path):
    paths = [str(tmp_path / f"{i}.png") for i in range(80)]
    for path in paths:
        with open(path, "wb") as file:
            file.write(SIMPLE["a.png"])
    found = check_pictures(paths, Deadly())
    assert [p.path for p in found] == paths
    assert [p.path for p in found if p.error] == [paths[77]]
    assert found[77].error == "kills the process of its decoder"
    assert check_pictures(paths, Examination())[77].error is None


@st.composite
def damaged(draw):
    """Bytes of a picture that were cut, changed, or given another beginning."""
    contents = [*SIMPLE.values(), *(content for content, _ in KINDS.values())]
    content = bytearray(draw(st.sampled_from(contents)))
    for _ in range(draw(st.integers(0, 4))):
        if not content:
            break
        # Headers are short, and most of what can go wrong is in them.
        at = draw(st.integers(0, min(80, len(content) - 1)) | st.integers(0, len(content) - 1))
        what = draw(st.sampled_from(["bit", "byte", "cut", "insert", "size"]))
        if what == "bit":
            content[at] ^= 1 << draw(st.integers(0, 7))
        elif what == "byte":
            content[at] = draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]))
        elif what == "cut":
            del content[at:]
        elif what == "insert":
            content[at:at] = draw(st.binary(max_size=8))
        else:
            big = draw(st.sampled_from([0, 1, 2**16 - 1, 2**31 - 1, 2**32 - 1]))
            content[at : at + 4] = struct.pack(draw(st.sampled_from("<>")) + "I", big)
    name = draw(st.sampled_from(["x.jpg", "x.png", "x.tif", "x"]))
    return name, bytes(content)


def check_and_loader_agree(drawn, folder):
    name, content = drawn
    small = dict(type="LoadImageFromFile", max_pixels=10**6)
    path = folder / name
    path.write_bytes(content)
    picture = Examination([small])(str(path))
    try:
        loaded = LoadImageFromFile(max_pixels=10**6)(dict(img_path=str(path)))["img"]
    except DataError as error:
        assert picture.error and picture.size is None
        assert "\n" not in str(error) and str(path) in str(error)
    else:
        assert picture.error is None and picture.size == loaded.shape[1::-1]
        assert loaded.dtype == np.uint8 and loaded.ndim == 3 and loaded[..., 0].size <= 10**6
    assert Image.MAX_IMAGE_PIXELS is not None  # Pillow's own limit is left as it was


COMMON = dict(
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@settings(max_examples=100, **COMMON)
@given(damaged())
def test_check_and_loader_agree_on_damaged_pictures(tmp_path, drawn):
    check_and_loader_agree(drawn, tmp_path)


@pytest.mark.slow
@settings(max_examples=5000, **COMMON)
@given(damaged())
def test_check_and_loader_agree_on_many_damaged_pictures(tmp_path, drawn):
    check_and_loader_agree(drawn, tmp_path)
