"""The one door for image files: which formats, which numbers, which notes."""

import io
import os
import pathlib
import random
import struct
import sys

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
import tensorflow as tf

from tfcl.data_builders.image_folders.image_file import (
    DEFAULT_RULES,
    FORMATS,
    BadImage,
    decode,
    open_image,
)

_EPS = b"""%!PS-Adobe-3.0 EPSF-3.0
%%BoundingBox: 0 0 8 8
%%EndComments
0 0 8 8 rectfill
%%EOF
"""
_ORIENTATION = 0x0112
# Formats that Pillow writes; those of `FORMATS` are read, the others refused.
_OTHERS = ("EPS", "PPM", "ICO", "TGA", "PCX", "SGI", "JPEG2000", "PDF", "IM")
# What audit hooks report when a process is started.
_STARTS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn")
_started: list = []


@pytest.fixture(scope="module", autouse=True)
def _watch():
    # At the end of the process the module's names are gone, the hook is not.
    starts, started = (*_STARTS, "os.fork", "os.forkpty"), _started

    def hook(event, arguments):
        if event in starts:
            started.append((event, arguments))

    sys.addaudithook(hook)  # It cannot be taken off again, but only listens.


def noise(*shape, dtype=np.uint8, high=256):
    return np.random.default_rng(0).integers(0, high, shape).astype(dtype)


def encoded(pixels, kind, mode=None, **options):
    image = PIL.Image.fromarray(pixels)
    buffer = io.BytesIO()
    (image.convert(mode) if mode else image).save(buffer, kind, **options)
    return buffer.getvalue()


def notes_of(content):
    return open_image(content, DEFAULT_RULES).notes


# Formats


def test_an_eps_file_named_png_starts_no_process(tmp_path, monkeypatch):
    # Were Ghostscript asked, this one would leave a trace.
    trace = tmp_path / "started"
    for name in ("gs", "gswin32c", "gswin64c"):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\ntouch {trace}\n")
        program.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    monkeypatch.setenv("PATH", path)
    image_file = tmp_path / "a.png"
    image_file.write_bytes(_EPS)
    with pytest.raises(BadImage, match="is no readable image"):
        decode(image_file)
    assert not trace.exists() and not _started
    # Pillow itself would have started it: the test can fail.
    with pytest.raises(Exception), PIL.Image.open(image_file) as image:  # noqa: B017
        image.load()
    assert trace.exists() and _started
    _started.clear()


@pytest.mark.parametrize("kind", FORMATS)
def test_promised_formats_are_read_whatever_they_are_called(kind, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(encoded(noise(9, 6, 3), kind))
    assert decode(path).shape == (9, 6, 3)
    assert not _started


@pytest.mark.parametrize("kind", _OTHERS)
def test_other_formats_of_pillow_are_refused(kind):
    try:
        content = encoded(noise(16, 16, 3), kind)
    except (KeyError, OSError):
        pytest.skip("this Pillow does not write it")
    with pytest.raises(BadImage, match="is no readable image"):
        decode(content)
    assert not _started


def test_no_other_place_opens_images_by_pillow():
    root = pathlib.Path(__file__).resolve().parents[2]
    found = [
        path.relative_to(root).as_posix()
        for top in ("tfcl", "data_builders", "examples")
        for path in (root / top).rglob("*.py")
        if "Image.open(" in path.read_text()
    ]
    assert found == ["data_builders/image_folders/image_file.py"]


def test_a_photograph_of_several_images_gives_the_first():
    first, second = noise(16, 24, 3), noise(8, 8, 3)
    buffer = io.BytesIO()
    PIL.Image.fromarray(first).save(
        buffer,
        "MPO",
        save_all=True,
        append_images=[PIL.Image.fromarray(second)],
    )
    wanted = PIL.Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")
    np.testing.assert_array_equal(decode(buffer.getvalue()), wanted)


# Notes


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(10))
def test_every_orientation_is_brought_upright_as_by_pillow(kind, orientation):
    exif = PIL.Image.Exif()
    exif[_ORIENTATION] = orientation
    exif[0x010F] = "Maker"
    content = encoded(noise(9, 6, 3), kind, exif=exif)
    stored = PIL.Image.open(io.BytesIO(content))
    wanted = PIL.ImageOps.exif_transpose(stored).convert("RGB")
    np.testing.assert_array_equal(decode(content), wanted)
    assert notes_of(content) == ()


@pytest.mark.parametrize("order", "<>")
def test_both_byte_orders_of_exif_are_read(order):
    mark = {"<": b"II", ">": b"MM"}[order]
    exif = b"Exif\0\0" + mark + struct.pack(f"{order}HLH", 42, 8, 1)
    exif += struct.pack(f"{order}HHLHH", _ORIENTATION, 3, 1, 6, 0)
    pixels = noise(9, 6, 3)
    found = decode(encoded(pixels, "PNG", exif=exif))
    np.testing.assert_array_equal(found, np.rot90(pixels, -1))


def test_an_orientation_in_xmp_counts_if_exif_has_none():
    xmp = b'<x:xmpmeta><rdf tiff:Orientation="8"/></x:xmpmeta>'
    pixels = np.full((16, 8, 3), 90, np.uint8)
    for kind in ("JPEG", "WEBP"):
        content = encoded(pixels, kind, xmp=xmp)
        assert decode(content).shape == (8, 16, 3), kind


def test_mutated_exif_never_costs_an_image():
    exif = PIL.Image.Exif()
    exif[_ORIENTATION] = 6
    exif[0x010F], exif[0x011A], exif[0x0128] = "Maker", (72, 1), 2
    exif.get_ifd(0x8769)[0x9003] = "2020:01:01 00:00:00"
    whole, pixels = exif.tobytes(), noise(4, 3, 3)
    ways = {np.rot90(pixels, k).tobytes() for k in range(4)}
    ways |= {np.rot90(pixels[:, ::-1], k).tobytes() for k in range(4)}
    draw = random.Random(0)
    told = 0
    for number in range(600):
        mutated = bytearray(whole)
        for _ in range(draw.randint(1, 6)):
            mutated[draw.randrange(6, len(mutated))] = draw.randrange(256)
        if number % 5 == 0:
            del mutated[draw.randrange(6, len(mutated)) :]
        kind = ("JPEG", "PNG", "WEBP")[number % 3]
        options = {"lossless": True} if kind == "WEBP" else {}
        content = encoded(pixels, kind, exif=bytes(mutated), **options)
        found = open_image(content, DEFAULT_RULES)
        assert kind == "JPEG" or found.values.tobytes() in ways
        if found.notes:
            assert "EXIF notes that cannot be read" in found.notes[0]
            assert found.values.shape == (4, 3, 3)
            told += 1
    assert 100 < told < 400


def test_broken_exif_is_told_with_the_name_of_the_file(tmp_path, caplog):
    path = tmp_path / "holiday.jpg"
    content = encoded(noise(9, 6, 3), "JPEG", exif=b"Exif\0\0II*\0\xff")
    path.write_bytes(content)
    assert decode(path).shape == (9, 6, 3)
    assert "holiday.jpg' has EXIF notes that cannot be read" in caplog.text


@pytest.mark.parametrize("kind", FORMATS)
def test_mutated_files_are_images_or_bad_images(kind):
    """Whatever stands in a file, nothing but `BadImage` comes out."""
    whole = encoded(noise(24, 16, 3), kind)
    draw = random.Random(1)
    for _ in range(150):
        mutated = bytearray(whole)
        for _ in range(draw.randint(1, 4)):
            mutated[draw.randrange(min(len(mutated), 200))] = draw.randrange(
                256
            )
        try:
            found = decode(bytes(mutated))
        except BadImage as error:
            assert "\n" not in str(error)
        else:
            assert found.dtype == np.uint8 and found.ndim == 3


# Damage inside of JPEG files


def photograph(**options):
    ramp = np.linspace(0, 255, 128)[None, :, None]
    pixels = np.clip(ramp + noise(96, 128, 3) / 4.0, 0, 255)
    return encoded(pixels.astype(np.uint8), "JPEG", quality=80, **options)


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"optimize": True}]
)
def test_a_jpeg_that_ends_in_mid_scan_is_refused(options):
    whole = photograph(**options)
    assert notes_of(whole) == ()
    middle = len(whole) // 3
    # The rows after it are grey for Pillow, which is content with them.
    damaged = whole[:middle] + b"\xff\xd9" + whole[middle + 2 :]
    assert PIL.Image.open(io.BytesIO(damaged)).convert("RGB").size
    with pytest.raises(BadImage, match="no readable image: .*premature end"):
        decode(damaged)


def test_bad_codes_in_a_jpeg_are_refused_or_told():
    whole = photograph(optimize=True)
    start = whole.rfind(b"\xff\xda") + 14
    draw = random.Random(0)
    refused = told = 0
    for _ in range(100):
        damaged = bytearray(whole)
        damaged[draw.randrange(start, len(whole) - 2)] ^= draw.randrange(1, 255)
        try:
            told += bool(notes_of(bytes(damaged)))
        except BadImage:
            refused += 1
    # One byte may leave everything valid: that cannot be seen (see the docs).
    assert refused >= 5 and told >= 2, (refused, told)


def test_harmless_oddities_of_a_jpeg_are_no_damage(caplog):
    whole = photograph()
    extra = whole[:-2] + bytes(20) + whole[-2:]
    np.testing.assert_array_equal(decode(extra), decode(whole))
    assert "may be damaged" in caplog.text
    for odd in (
        whole + b"appended by a camera",
        whole.replace(b"JFIF\0\x01", b"JFIF\0\x07"),  # A revision to come.
        whole[:2] + b"\xff\xfe\0\x06note" + whole[2:],
    ):
        assert odd != whole and notes_of(odd) == ()


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_grey_and_cmyk_jpegs_are_checked_too(mode):
    whole = encoded(noise(96, 64, 3), "JPEG", mode)
    assert notes_of(whole) == ()
    middle = len(whole) // 2
    damaged = whole[:middle] + b"\xff\xd9" + whole[middle + 2 :]
    with pytest.raises(BadImage):
        decode(damaged)


# Numbers of more than 8 bits, and two channels


def test_deep_grey_is_scaled_by_the_white_of_its_data_set():
    wanted = np.array([[0, 17, 136], [204, 238, 255]])
    content = encoded((wanted * 4095 // 255).astype(np.uint16), "PNG")
    rules = DEFAULT_RULES._replace(white=4095.0)
    np.testing.assert_array_equal(decode(content, rules)[..., 1], wanted)


def test_deep_colours_are_scaled_by_the_white_of_their_data_set():
    wanted = noise(5, 4, 3).astype(np.uint16)
    twelve = (wanted * 16 + wanted // 16).astype(np.uint16)
    content = tf.io.encode_png(twelve).numpy()
    rules = DEFAULT_RULES._replace(white=4095.0)
    found = decode(content, rules).astype(int)
    assert np.abs(found - wanted).max() <= 1
    sixteen = tf.io.encode_png(wanted * 257).numpy()
    np.testing.assert_array_equal(decode(sixteen), wanted)


def test_floating_numbers_need_a_white():
    content = encoded(
        np.linspace(0, 1.01, 12, dtype="f4").reshape(3, 4), "TIFF"
    )
    with pytest.raises(BadImage, match="nothing says which of them is white"):
        decode(content)
    found = decode(content, DEFAULT_RULES._replace(white=1.0))
    assert found[0, 0, 0] == 0 and found[-1, -1, 0] == 255
    assert found.std() > 50
    nothing = encoded(np.full((3, 4), np.nan, "f4"), "TIFF")
    with pytest.raises(BadImage, match="infinity or no numbers"):
        decode(nothing, DEFAULT_RULES._replace(white=1.0))


def test_nearly_black_deep_images_are_told(caplog):
    decode(encoded(noise(5, 4, dtype=np.uint16, high=4096), "PNG"))
    assert "nearly black; fewer bits may be meant" in caplog.text


def test_two_channels_are_refused_or_explicit():
    pixels = noise(5, 4, 2)
    for kind in ("PNG", "TIFF"):
        content = encoded(pixels, kind)
        with pytest.raises(BadImage, match="has two channels.*two_channels"):
            decode(content)
        rules = DEFAULT_RULES._replace(two_channels="grey")
        found = decode(content, rules)
        np.testing.assert_array_equal(found[..., 2], pixels[..., 0])
    # Nothing is lost of an image that is opaque throughout.
    opaque = np.stack([pixels[..., 0], np.full((5, 4), 255, np.uint8)], -1)
    found = decode(encoded(opaque, "PNG"))
    np.testing.assert_array_equal(found[..., 0], pixels[..., 0])
