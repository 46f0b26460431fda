"""The build command on real samples, and on other parts of a release."""

import functools
import logging
import re

import numpy as np
import pytest

from tests.data_builders import samples
from tests.testing.build_command import one_line, run_build
from tfcl.data.sources import tfds_source
from tfcl.data_builders import dummy_images
from tfcl.data_builders.tiny_imagenet import (
    tiny_imagenet_dataset_builder as tiny,
)


@pytest.fixture
def run(capsys):
    """Function from arguments to (exit code, stdout, stderr)."""
    return functools.partial(run_build, capsys)


# Sample, data set, records per split, whether it is a part of the release.
_BUILT = (
    ("cub_200_2011", "cub_cropped", "12 train, 8 test", True),
    ("femnist", "femnist", "144 train, 16 test", False),
    ("femnist", "femnist_published", "36 train, 4 test", False),
    ("imagenet32", "imagenet32", "200 train, 50 validation", True),
    ("imagenet32", "imagenet32_scrambled", "200 train, 50 validation", True),
    (
        "mini_imagenet",
        "mini_imagenet_noise_1",
        "56 train, 8 validation, 16 test",
        True,
    ),
    ("stanford_cars", "stanford_cars_cropped", "12 train", True),
    ("stanford_cars_cropped", "stanford_cars_cropped", "24 train", True),
    ("tiny_imagenet", "tiny_imagenet", "300 train, 80 validation", True),
)
# Samples without images.
_REFUSED = (
    ("celeba", "fceleba", "neither 'img_align_celeba.zip' nor"),
    ("lfw", "lfw_pairs", "neither 'lfw.tgz' nor"),
    ("oxford_flowers102", "flowers_cpg", "neither '102flowers.tgz' nor"),
    ("vggface2", "vggface2", "train_list.txt'"),
    ("wikiart", "wikiart_style", "none of the 1,426 listed images is in"),
)


@pytest.mark.parametrize(("sample", "name", "counts", "is_part"), _BUILT)
def test_samples_are_built(run, tmp_path, sample, name, counts, is_part):
    values = {
        "manual_dir": str(samples.folder(f"raw/{sample}")),
        "data_dir": str(tmp_path),
    }
    if is_part:
        line = one_line(run(name, whole=True, **values))
        assert line.endswith("A part of the release is taken without --whole.")
    code, out, _ = run(name, **values)
    assert code == 0
    shown = [part.split() for part in counts.split(", ")]
    for count, split in shown:
        assert f"{count} {split}" in re.sub(" of the release's [0-9]+", "", out)
    code, out, _ = run(name, check=True, data_dir=str(tmp_path))
    assert code == 0
    lines = out.splitlines()
    assert len(lines) == len(shown)
    for line, (count, split) in zip(lines, shown):
        assert line.startswith(f"{split}: {count} ")
        assert ("of the release's" in line) == is_part


@pytest.mark.parametrize(("sample", "name", "message"), _REFUSED)
def test_samples_without_images_are_refused(
    run, tmp_path, sample, name, message
):
    manual = samples.folder(f"raw/{sample}")
    ended = run(name, manual_dir=str(manual), data_dir=str(tmp_path))
    assert message in one_line(ended)
    assert not list(tmp_path.rglob("1.0.0"))


def test_a_part_of_a_release_is_told_wherever_it_is_used(
    run, tmp_path, caplog, monkeypatch
):
    # Relative, as people type it.
    monkeypatch.chdir(tmp_path)
    tree = tmp_path / "manual/tiny-imagenet-200"
    name = tiny.Builder.CLASS_NAMES[7]
    lines = []
    for k in range(3):
        dummy_images.write(tree / f"train/{name}/images/{k}.JPEG")
        lines.append(f"val_{k}.JPEG\t{name}\t0\t0\t62\t57")
    dummy_images.write(tree / "val/images/val_0.JPEG")
    (tree / "wnids.txt").write_text(f"{name}\n")
    (tree / "val/val_annotations.txt").write_text("\n".join(lines))
    values = {"manual_dir": "manual", "data_dir": "data"}
    line = one_line(run("tiny_imagenet", whole=True, **values))
    assert "holds 3 images for 'train' where the release has 100,000" in line
    with caplog.at_level(logging.WARNING):
        code, out, _ = run("tiny_imagenet", **values)
    assert code == 0
    assert "3 of the release's 100000 train, 1 of the release's 10000" in out
    assert "'manual' holds 1 images for 'validation' where" in caplog.text
    assert (
        "from more of the release, delete" in run("tiny_imagenet", **values)[1]
    )
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        opened = tfds_source.open_split(
            "tiny_imagenet", "train", "data", image_shape=(4, 4, 3)
        )
    np.testing.assert_array_equal(opened.labels, [7, 7, 7])
    assert "a part of the release, 3 of its 100000 images" in caplog.text


def test_classes_may_be_missing_from_a_part(run, tmp_path):
    tree = tmp_path / "OfficeHomeDataset_10072016/Product"
    for name in ("Mug", "Alarm_Clock"):
        dummy_images.write(tree / name / "00001.jpg")
    values = {"manual_dir": str(tmp_path), "data_dir": str(tmp_path / "data")}
    line = one_line(run("office_home_product", whole=True, **values))
    assert "lacks 63 of the 65 classes: Backpack" in line
    code, out, _ = run("office_home_product", **values)
    assert code == 0 and "2 of the release's 4439 train" in out
    opened = tfds_source.open_split(
        "office_home_product", "train", tmp_path / "data", image_shape=(4, 4, 3)
    )
    names = [opened.class_names[label] for label in opened.labels]
    assert names == ["Alarm_Clock", "Mug"]
    (tree / "Mug/00001.jpg").unlink()
    (tree / "Alarm_Clock").rename(tree / "Clock")
    (tree / "Mug").rename(tree / "Cup")
    values["data_dir"] = str(tmp_path / "other")
    line = one_line(run("office_home_product", **values))
    assert "lacks 65 of the 65 classes" in line


def test_names_of_families_are_answered_with_their_sets(run):
    assert "'emnist_balanced' or 'emnist_byclass'" in one_line(run("emnist"))
    assert "'cub_cropped' or 'caltech_birds" in one_line(run("CUB_200_2011"))
    assert "Did you mean 'lfw_pairs'?" in one_line(run("lfw"))
