"""Tiny-ImageNet as a TFDS data set."""

from typing import ClassVar

from tfcl.data_builders import image_files, manual_files
from tfcl.data_builders.image_builder import ImageBuilder

# Size, for the message: 248,100,043 bytes. The owners publish no checksum.
_ARCHIVE = "tiny-imagenet-200.zip"
_ANNOTATIONS = "val/val_annotations.txt"


class Builder(ImageBuilder):
    """100,000 training and 10,000 validation images of 200 classes.

    Features:
        image: `(height, width, 3)`, uint8; 64 x 64 JPEG files, unchanged.
        label: Class index 0..199, rank of the WordNet id.
        id: Path of the file, "train/n01443537/n01443537_0.JPEG".
    """

    CLASS_NAMES = manual_files.names(__file__)
    COUNTS: ClassVar[dict] = {"train": 100_000, "validation": 10_000}
    HOMEPAGE = "http://cs231n.stanford.edu/tiny-imagenet-200.zip"
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        f"Get {_ARCHIVE} from {HOMEPAGE} (ImageNet's terms: non-commercial "
        "research and education only) and put it, or the folder "
        "tiny-imagenet-200 that it unpacks to, into the folder for manual "
        "downloads."
    )

    def images(self, dl_manager):
        root = manual_files.tree(
            dl_manager,
            "tiny-imagenet-200",
            "",
            marker="wnids.txt",
            archives=[(_ARCHIVE, None)],
        )
        return {"train": self._train(root), "validation": self._held_out(root)}

    def _train(self, root):
        images = []
        for label, name in enumerate(self.CLASS_NAMES):
            folder = root / "train" / name
            if not folder.exists():
                continue  # The number of images tells.
            if (folder / "images").exists():
                folder /= "images"
            images += [
                image_files.Image(f"train/{name}/{p.name}", p, label)
                for p in image_files.listed(folder)
            ]
        return images

    def _held_out(self, root):
        if not (root / _ANNOTATIONS).exists():
            # Sorted into folders by class, as ImageFolder readers need it.
            split = manual_files.find(root, "test", "val")
            return image_files.in_class_folders(
                split, self.CLASS_NAMES, split.name
            )
        labels = {name: label for label, name in enumerate(self.CLASS_NAMES)}
        images = []
        for file, name, *_ in manual_files.fields(root / _ANNOTATIONS, 6):
            if name not in labels:
                raise manual_files.DataFileError(
                    f"'{root / _ANNOTATIONS}' names '{name}', none of the "
                    "200 classes"
                )
            path = root / "val/images" / file
            images.append(image_files.Image(f"val/{file}", path, labels[name]))
        return images
