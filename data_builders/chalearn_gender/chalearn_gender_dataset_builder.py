"""ChaLearn Faces of the World: gender, as a TFDS data set."""

from tfcl.data_builders import image_files, manual_files
from tfcl.data_builders.image_builder import ImageBuilder

_LISTS = {"train": "train", "validation": "valid"}
# Words in the headers of the lists, whose wording differs between rounds.
_FILE, _GENDER = ("image", "file"), ("gender",)
_EDGES = ("x", "y", "width", "height")


class Builder(ImageBuilder):
    """About 8,000 faces of three classes; the user supplies the images.

    Features:
        image: `(height, width, 3)`, uint8; the files unchanged, or cut to the
            box where the list has the columns bbox_x, bbox_y, bbox_width and
            bbox_height.
        label: Class index 0..2.
        id: "<split>/<file>"; "<split>/<class>/<file>" of a tree with classes.
    """

    CLASS_NAMES = ("male", "female", "other")
    HOMEPAGE = "https://chalearnlap.cvc.uab.es/dataset/20/description/"
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        f"Register at {HOMEPAGE} and put gender/{{train,val}}/"
        "{male,female,other}/<file>, or chalearn_gender/{train,valid}/<file> "
        "with the lists chalearn_gender/{train,valid}.csv (header with the "
        "words 'image' or 'file', and 'gender'), into the folder for manual "
        "downloads."
    )

    def images(self, dl_manager):
        root = dl_manager.manual_dir
        for folder in ("gender", "chalearn_gender", "data/gender"):
            if (root / folder / "val").exists():
                return image_files.in_split_folders(
                    root / folder,
                    {"train": "train", "validation": "val"},
                    self.CLASS_NAMES,
                    numbered=True,
                )
        root = manual_files.tree(
            dl_manager, "chalearn_gender", "fotw", marker="train.csv"
        )
        return {
            split: self._listed(root, split, name)
            for split, name in _LISTS.items()
        }

    def _listed(self, root, split, name):
        path = root / f"{name}.csv"
        rows = manual_files.table(path, ())
        file, gender = _column(rows, _FILE, path), _column(rows, _GENDER, path)
        labels = {name: label for label, name in enumerate(self.CLASS_NAMES)}
        labels |= {str(label): label for label in range(len(self.CLASS_NAMES))}
        images = []
        for number, row in enumerate(rows, 2):
            label = labels.get((row[gender] or "").strip().lower())
            if label is None:
                raise manual_files.DataFileError(
                    f"'{path}' line {number} has the gender '{row[gender]}', "
                    f"none of {', '.join(self.CLASS_NAMES)}"
                )
            image = root / name / row[file]
            images.append(
                image_files.Image(
                    f"{split}/{row[file]}", image, label, _box(row, path)
                )
            )
        return images


def _column(rows, words, path):
    """The only column whose name has one of the words."""
    columns = list(rows[0]) if rows else []
    found = [c for c in columns if any(word in c.lower() for word in words)]
    if len(found) != 1:
        raise manual_files.DataFileError(
            f"'{path}' needs one column with the word '{words[0]}' in its "
            f"header, which is {', '.join(columns) or 'empty'}"
        )
    return found[0]


def _box(row, path):
    if any(f"bbox_{edge}" not in row for edge in _EDGES):
        return None
    try:
        left, top, width, height = (
            round(float(row[f"bbox_{edge}"])) for edge in _EDGES
        )
    except (TypeError, ValueError):
        raise manual_files.DataFileError(
            f"'{path}' has a box that is no number"
        ) from None
    return left, top, left + width, top + height
