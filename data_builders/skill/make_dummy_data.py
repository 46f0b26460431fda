"""Draws the dummy data of the builder's test: python <this file>.

A database with two tasks and the images of the smaller one, Hurricane_Damage
of two classes.
"""

import pathlib
import sqlite3

from tfcl.data_builders import dummy_pictures

_NAME = "Hurricane_Damage_Dataset"
# (hash, path, file, class, task, problem, set)
_FILES = (
    ("aa01", "/train/x/", "1.jpg", 31, 69, 0, 0),
    ("ab02", "/train/y/", "2.png", 30, 69, 0, 0),
    ("ac03", "/train/x/", "broken.jpg", 31, 69, 1, 0),
    ("ad04", "/val/", "3.jpg", 30, 69, 0, 1),
    ("ae05", "/test/", "4.jpg", 31, 69, 0, 2),
    ("af06", "/train/", "5.jpg", 1, 1, 0, 0),
)


def main():
    """Writes the files into the folder dummy_data beside this program."""
    root = pathlib.Path(__file__).parent / "dummy_data/skill"
    for _, path, file, _, task, problem, _ in _FILES:
        if task == 69 and not problem:
            folder = root / f"original_images/{_NAME}{path}"
            dummy_pictures.write(folder / file)
    database = root / "rolling_releases/database_2.sqlite"
    database.parent.mkdir(exist_ok=True)
    database.unlink(missing_ok=True)
    connection = sqlite3.connect(database)
    connection.execute(
        "CREATE TABLE datasets (dataset_id INTEGER, dataset_name TEXT, "
        "good INTEGER)"
    )
    connection.execute(
        "CREATE TABLE files (hash TEXT, path TEXT, filename TEXT, "
        'class_id INTEGER, dataset_id INTEGER, problem INTEGER, "set" INTEGER)'
    )
    connection.executemany(
        "INSERT INTO datasets VALUES (?, ?, 1)", [(1, "scenes"), (69, _NAME)]
    )
    connection.executemany(
        "INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?)", _FILES
    )
    connection.commit()
    connection.close()


if __name__ == "__main__":
    main()
