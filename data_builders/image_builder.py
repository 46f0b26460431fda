"""What the builders of labelled images share."""

import abc
from typing import ClassVar

import tensorflow_datasets as tfds

from tfcl.data_builders import image_files, manual_files
from tfcl.data_builders.own_folder import InOwnFolder


def configurations(descriptions):
    """`BUILDER_CONFIGS` that differ by name alone.

    Args:
        descriptions: `{name: description}`.
    """
    return [
        tfds.core.BuilderConfig(name=name, description=text)
        for name, text in descriptions.items()
    ]


class LabelledBuilder(
    InOwnFolder, tfds.core.GeneratorBasedBuilder, skip_registration=True
):
    """Labelled images.

    Attributes:
        CLASS_NAMES: Names of the classes, in the order of the labels.
        HOMEPAGE: Where the data set's owner describes it.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict] = {"1.0.0": "First release."}
    CLASS_NAMES: ClassVar[tuple] = ()
    HOMEPAGE = ""

    def features(self):
        """The features of an example, `image` and `label` among them."""
        return image_files.features(self.CLASS_NAMES)

    def _info(self):
        return self.dataset_info_from_configs(
            features=self.features(),
            supervised_keys=("image", "label"),
            homepage=self.HOMEPAGE,
        )


class ImageBuilder(LabelledBuilder, skip_registration=True):
    """Labelled image files that the user supplies; a subclass lists them.

    Attributes:
        COUNTS: Examples per split in the release. A split that is not named
            is not counted. With several configurations, by their names.
    """

    COUNTS: ClassVar[dict] = {}

    @abc.abstractmethod
    def images(self, dl_manager):
        """The `Image`s of every split, as found in `dl_manager.manual_dir`.

        Returns:
            `{split: list or iterator of Image}`; a list if it is counted.
        """

    def _split_generators(self, dl_manager):
        found = self.images(dl_manager)
        counts = self.COUNTS
        if self.builder_config is not None:
            counts = counts.get(self.builder_config.name, {})
        for split, images in found.items():
            images = manual_files.present(images, dl_manager.manual_dir)
            found[split] = images
            if isinstance(images, list):
                _refuse_doubles(images)
            if split in counts:
                manual_files.check_whole(
                    len(images),
                    counts[split],
                    f"images for '{split}'",
                    dl_manager.manual_dir,
                )
        return {
            split: self._generate_examples(images)
            for split, images in found.items()
        }

    def _generate_examples(self, images):
        classes = self.info.features["label"].num_classes
        return image_files.examples(images, classes)


def _refuse_doubles(images):
    seen = set()
    for image in images:
        if image.id in seen:
            raise manual_files.DataFileError(
                f"the image '{image.id}' is listed twice"
            )
        seen.add(image.id)
