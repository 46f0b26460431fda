"""Adience: faces in eight groups of age, five folds, as a TFDS data set."""

from typing import ClassVar

from tfcl.data_builders import image_files, manual_files
from tfcl.data_builders.image_builder import ImageBuilder, configurations

_AGES = (
    *("(0, 2)", "(4, 6)", "(8, 12)", "(15, 20)"),
    *("(25, 32)", "(38, 43)", "(48, 53)", "(60, 100)"),
)
# Images with one of these ages, per fold.
_FOLDS = (4316, 3101, 3339, 2975, 3693)
_COLUMNS = ("user_id", "original_image", "face_id", "age")
# Where images may lie and what their names begin with.
_FACES = (
    ("aligned", "landmark_aligned_face"),
    ("faces", "coarse_tilt_aligned_face"),
)


class Builder(ImageBuilder):
    """17,424 faces; the configuration says which fold is for testing.

    Features:
        image: `(height, width, 3)`, uint8; the JPEG files, unchanged.
        label: Class index 0..7, the group of age. Images whose age is
            another or unknown are left out, as is common.
        id: "fold_0/<user>/<face>.<image>"; "<split>/<class>/<file>" of a
            tree with splits.
    """

    BUILDER_CONFIGS: ClassVar[list] = configurations(
        {
            f"age{fold}": f"Fold {fold} for testing, the others for training."
            for fold in range(len(_FOLDS))
        }
    )
    CLASS_NAMES = _AGES
    COUNTS: ClassVar[dict] = {
        f"age{fold}": {"train": sum(_FOLDS) - count, "test": count}
        for fold, count in enumerate(_FOLDS)
    }
    HOMEPAGE = "https://talhassner.github.io/home/projects/Adience/"
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        f"Register at {HOMEPAGE} (research only) and put "
        "adience/fold_<0..4>_data.txt and adience/aligned (or adience/faces)"
        "/<user>/*.jpg into the folder for manual downloads; CPG's "
        "age<k>/{train,val}/<class>/<file> serves too, its classes named by "
        "the ages."
    )

    def images(self, dl_manager):
        root = dl_manager.manual_dir
        name = self.builder_config.name
        for folder in (name, f"data/{name}"):
            if (root / folder / "train").exists():
                return image_files.in_split_folders(
                    root / folder,
                    {"train": "train", "test": "val"},
                    self.CLASS_NAMES,
                )
        root = manual_files.tree(
            dl_manager,
            *("adience", "AdienceBenchmarkOfUnfilteredFacesForGenderAndAge"),
            *("Adience", ""),
            marker="fold_0_data.txt",
        )
        found = {"train": [], "test": []}
        for fold in range(len(_FOLDS)):
            split = "test" if name == f"age{fold}" else "train"
            found[split] += _fold(root, fold)
        return found


def _fold(root, fold):
    labels = {age: label for label, age in enumerate(_AGES)}
    folder, beginning = next(
        (each for each in _FACES if (root / each[0]).exists()), _FACES[0]
    )
    path = manual_files.find(root, f"fold_{fold}_data.txt")
    images = []
    for row in manual_files.table(path, _COLUMNS, delimiter="\t"):
        label = labels.get(row["age"])
        if label is None:
            continue
        user, name = row["user_id"], f"{row['face_id']}.{row['original_image']}"
        images.append(
            image_files.Image(
                f"fold_{fold}/{user}/{name}",
                root / folder / user / f"{beginning}.{name}",
                label,
            )
        )
    return images
