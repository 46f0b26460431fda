"""AffectNet: faces with one of seven expressions, as a TFDS data set."""

from typing import ClassVar

from tfcl.data_builders import image_files, manual_files
from tfcl.data_builders.image_builder import ImageBuilder

_LISTS = {"train": "training.csv", "validation": "validation.csv"}
_COLUMNS = (
    *("subDirectory_filePath", "face_x", "face_y", "face_width"),
    *("face_height", "expression"),
)
# The owners' numbers after these: contempt, none, uncertain, no face.
_LAST_EXPRESSION = 10


class Builder(ImageBuilder):
    """283,901 training and 3,500 validation faces; the user supplies them.

    Features:
        image: `(height, width, 3)`, uint8; the face cut out by the owners'
            box, stored without loss.
        label: Class index 0..6, the owners' number of the expression;
            images with 7 to 10 (contempt, none, uncertain, no face) are
            left out.
        id: "<split>/<folder>/<file>".
    """

    CLASS_NAMES = (
        *("neutral", "happy", "sad", "surprise"),
        *("fear", "disgust", "anger"),
    )
    COUNTS: ClassVar[dict] = {"train": 283_901, "validation": 3_500}
    HOMEPAGE = "http://mohammadmahoor.com/affectnet/"
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        f"Sign the owners' agreement ({HOMEPAGE}) and put "
        "affectnet/training.csv, affectnet/validation.csv and "
        "affectnet/Manually_Annotated_Images/<folder>/<file> into the folder "
        "for manual downloads; CPG's emotion/{train,val}/<class>/<file> serves "
        "too."
    )

    def images(self, dl_manager):
        root = dl_manager.manual_dir
        for folder in ("emotion", "data/emotion"):
            if (root / folder / "train").exists():
                return image_files.in_split_folders(
                    root / folder,
                    {"train": "train", "validation": "val"},
                    self.CLASS_NAMES,
                    numbered=True,
                )
        root = manual_files.tree(
            dl_manager, "affectnet", "AffectNet", "", marker="training.csv"
        )
        faces = manual_files.find(
            root,
            "Manually_Annotated_Images",
            "Manually_Annotated/Manually_Annotated_Images",
            "Manually_Annotated",
        )
        return {
            split: self._listed(split, root / name, faces)
            for split, name in _LISTS.items()
        }

    def _listed(self, split, path, faces):
        images = []
        rows = manual_files.table(path, _COLUMNS)
        for number, row in enumerate(rows, 2):
            try:
                left, top, width, height = (
                    round(float(row[key])) for key in _COLUMNS[1:5]
                )
                label = int(row["expression"])
                if not 0 <= label <= _LAST_EXPRESSION:
                    raise ValueError
            except ValueError:
                raise manual_files.DataFileError(
                    f"'{path}' line {number} has no box or no expression 0 to "
                    f"{_LAST_EXPRESSION}"
                ) from None
            if label >= len(self.CLASS_NAMES):
                continue
            name = row["subDirectory_filePath"]
            box = (left, top, left + width, top + height)
            images.append(
                image_files.Image(f"{split}/{name}", faces / name, label, box)
            )
        return images
