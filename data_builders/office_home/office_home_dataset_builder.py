"""Office-Home as a TFDS data set, one configuration per domain."""

from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from tfcl.data_builders import image_files, manual_files
from tfcl.data_builders.image_builder import LabelledBuilder, configurations

# In the order of the owners' list; the places are the class indices.
CLASS_NAMES = (
    *("Alarm_Clock", "Backpack", "Batteries", "Bed", "Bike", "Bottle"),
    *("Bucket", "Calculator", "Calendar", "Candles", "Chair", "Clipboards"),
    *("Computer", "Couch", "Curtains", "Desk_Lamp", "Drill", "Eraser"),
    *("Exit_Sign", "Fan", "File_Cabinet", "Flipflops", "Flowers", "Folder"),
    *("Fork", "Glasses", "Hammer", "Helmet", "Kettle", "Keyboard", "Knives"),
    *("Lamp_Shade", "Laptop", "Marker", "Monitor", "Mop", "Mouse", "Mug"),
    *("Notebook", "Oven", "Pan", "Paper_Clip", "Pen", "Pencil"),
    *("Postit_Notes", "Printer", "Push_Pin", "Radio", "Refrigerator"),
    *("Ruler", "Scissors", "Screwdriver", "Shelf", "Sink", "Sneakers"),
    *("Soda", "Speaker", "Spoon", "Table", "Telephone", "ToothBrush"),
    *("Toys", "Trash_Can", "TV", "Webcam"),
)
# Names that the domains' folders have in the release and in copies of it; the
# first is that in the images' ids.
_FOLDERS = {
    "art": ("Art",),
    "clipart": ("Clipart",),
    "product": ("Product",),
    "real_world": ("RealWorld", "Real World", "Real_World"),
}
_ARCHIVE = "OfficeHomeDataset_10072016"


class Builder(LabelledBuilder):
    """65 kinds of everyday objects; the user supplies the images.

    Features:
        image: `(height, width, 3)`, uint8, any size; the JPEG file unchanged.
        label: Class index 0..64.
        id: "<domain>/<class>/<file without ending>".
    """

    CLASS_NAMES = CLASS_NAMES
    HOMEPAGE = "https://www.hemanthdv.org/officeHomeDataset.html"
    BUILDER_CONFIGS: ClassVar[list] = configurations(
        {name: f"The domain '{each[0]}'." for name, each in _FOLDERS.items()}
    )
    # For warnings alone: other numbers are not refused.
    COUNTS: ClassVar[dict] = {
        "art": {"train": 2_427},
        "clipart": {"train": 4_365},
        "product": {"train": 4_439},
        "real_world": {"train": 4_357},
    }
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        f"Get {_ARCHIVE}.zip from {HOMEPAGE} (non-commercial "
        "research only) and unpack it: "
        f"{_ARCHIVE}/Product/Alarm_Clock/00001.jpg and so on."
    )

    def features(self):
        return image_files.features(
            self.CLASS_NAMES,
            image=tfds.features.Image(
                shape=(None, None, 3), dtype=np.uint8, encoding_format="jpeg"
            ),
        )

    def _split_generators(self, dl_manager):
        root = dl_manager.manual_dir
        if (root / _ARCHIVE).exists():
            root = root / _ARCHIVE
        known = _FOLDERS[self.builder_config.name]
        found = [root / name for name in known if (root / name).exists()]
        if not found:
            raise FileNotFoundError(f"no folder '{known[0]}' in '{root}'")
        folders = _class_folders(found[0])
        return {"train": self._generate_examples(known[0], folders)}

    def _generate_examples(self, domain, folders):
        for label, name in enumerate(CLASS_NAMES):
            if name not in folders:
                continue
            for path in image_files.listed(folders[name]):
                identity = f"{domain}/{name}/{path.stem}"
                image = image_files.read(path)
                yield (
                    identity,
                    {"id": identity, "image": image, "label": label},
                )


def _class_folders(domain):
    """`{class: folder}` of every class."""
    by_name = {path.name.lower(): path for path in domain.iterdir()}
    missing = [name for name in CLASS_NAMES if name.lower() not in by_name]
    if missing:
        error = FileNotFoundError(
            f"'{domain}' lacks {len(missing)} of the 65 classes: "
            f"{', '.join(missing)}"
        )
        if len(missing) == len(CLASS_NAMES):
            raise error
        manual_files.lacking(error)
    return {
        name: by_name[name.lower()]
        for name in CLASS_NAMES
        if name not in missing
    }
