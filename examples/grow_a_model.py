"""What `grow_a_model.sh` needs beside the commands of tfcl.

python grow_a_model.py photographs FOLDER   JPEG files of CIFAR-100, four tasks
python grow_a_model.py model FILE        a Keras classifier of ten others
python grow_a_model.py check RUN IMAGES  exports, opened without tfcl
"""

import csv
import json
import pathlib
import sys

import numpy as np

# Superclasses of CIFAR-100: tasks of five classes each.
TASKS = {
    "flowers": ["orchid", "poppy", "rose", "sunflower", "tulip"],
    "fruit": ["apple", "mushroom", "orange", "pear", "sweet_pepper"],
    "furniture": ["bed", "chair", "couch", "table", "wardrobe"],
    "trees": [
        "maple_tree",
        "oak_tree",
        "palm_tree",
        "pine_tree",
        "willow_tree",
    ],
}
TRAIN, TEST = 120, 40  # Images of each class.


def _cifar100():
    """`(images, labels, names)` of the training part."""
    import tensorflow_datasets as tfds

    examples, info = tfds.load(
        "cifar100", split="train", batch_size=-1, with_info=True
    )
    found = tfds.as_numpy(examples)
    return found["image"], found["label"], info.features["label"].names


def photographs(folder):
    """Writes `folder/<task>/{train,test}/<class>/*.jpg`."""
    from PIL import Image

    images, labels, names = _cifar100()
    for task, classes in TASKS.items():
        for name in classes:
            rows = np.flatnonzero(labels == names.index(name))
            for number, row in enumerate(rows[: TRAIN + TEST]):
                part = "train" if number < TRAIN else "test"
                place = pathlib.Path(folder, task, part, name)
                place.mkdir(parents=True, exist_ok=True)
                photograph = Image.fromarray(images[row])
                photograph.save(place / f"{number:03d}.jpg", quality=95)


def model(path):
    """Trains a classifier of ten other classes; it converts pixels itself."""
    import keras

    images, labels, names = _cifar100()
    used = {name for classes in TASKS.values() for name in classes}
    others = [k for k, name in enumerate(names) if name not in used][:10]
    mine = np.isin(labels, others)
    numbers = np.searchsorted(others, labels[mine])
    keras.utils.set_random_seed(0)
    layers = [keras.Input((32, 32, 3)), keras.layers.Rescaling(1 / 127.5, -1)]
    for filters in (32, 64, 128):
        layers += [
            keras.layers.Conv2D(filters, 3, padding="same", use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.MaxPooling2D(),
        ]
    layers += [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(10)]
    classifier = keras.Sequential(layers, name="mine")
    classifier.compile(
        "adam",
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    classifier.fit(images[mine], numbers, epochs=8, verbose=2)
    classifier.save(path)


def check(run, images):
    """Compares each export with what `tfcl predict` has answered.

    Args:
        run: Folder with `export/`, and `predict.<task>.csv` beside it.
        images: Folder of the photographs.
    """
    import keras
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter

    export, batches = pathlib.Path(run, "export"), {}
    for task in TASKS:
        with open(f"{run}/predict.{task}.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        paths = list(dict.fromkeys(row["file"] for row in rows))
        answers = {(row["file"], row["class"]): row for row in rows}
        pixels = np.stack(
            [np.asarray(keras.utils.load_img(path)) for path in paths]
        )
        version = max(
            export.joinpath(task).iterdir(), key=lambda p: int(p.name)
        )
        names = (version / "assets/labels.txt").read_text().split()
        wanted = np.array(
            [
                [float(answers[path, name]["probability"]) for name in names]
                for path in paths
            ]
        )
        batches[task] = pixels, wanted
        served = tf.saved_model.load(str(version)).signatures["serving_default"]
        found = {"SavedModel": served(tf.constant(pixels))["probabilities"]}
        plain = keras.models.load_model(export / f"{task}.keras")
        found[".keras"] = plain.predict(pixels.astype("float32"), verbose=0)
        lite = Interpreter(str(export / f"{task}.tflite"))
        lite.allocate_tensors()
        found[".tflite"] = np.concatenate([_lite(lite, x) for x in pixels])
        for form, answer in found.items():
            _tell(task, form, answer, wanted)
    version = max((export / "bundle").iterdir(), key=lambda p: int(p.name))
    about = json.loads((version / "assets/model.json").read_text())
    order = [task["task"] for task in about["tasks"]]
    mixed = [
        (order.index(t), *pair) for t, b in batches.items() for pair in zip(*b)
    ]
    np.random.default_rng(0).shuffle(mixed := list(map(list, mixed)))
    bundle = tf.saved_model.load(str(version)).signatures["serving_default"]
    found = bundle(
        images=tf.constant(np.stack([pixels for _, pixels, _ in mixed])),
        tasks=tf.constant([number for number, *_ in mixed], tf.int32),
    )["probabilities"]
    wanted = np.stack([wanted for *_, wanted in mixed])
    _tell(" + ".join(order), "bundle", found, wanted)
    assert not [name for name in sys.modules if name.startswith("tfcl")]
    print("tfcl was not loaded.", "Photographs:", images)


def _lite(lite, pixels):
    lite.set_tensor(lite.get_input_details()[0]["index"], pixels[None])
    lite.invoke()
    return lite.get_tensor(lite.get_output_details()[0]["index"])


def _tell(task, form, found, wanted):
    found = np.asarray(found)[:, : wanted.shape[1]]
    largest = np.abs(found - wanted).max()
    print(f"{task}: {form:10} {len(found)} images, differ by {largest:.1e}")
    assert largest < 1e-4, (task, form)


if __name__ == "__main__":
    {"photographs": photographs, "model": model, "check": check}[sys.argv[1]](
        *sys.argv[2:]
    )
