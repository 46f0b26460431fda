"""What the benchmarks share: arguments, and the lines they print."""

import argparse
import json
import time

import keras
import numpy as np
import tensorflow as tf


def measure(description, cases, repeats):
    """Measures the cases that the command line asks for.

    Args:
        description: Text of `--help`.
        cases: `{name: (items per step, steps, make)}`; `make()` returns a
            function of that many steps.
        repeats: Calls per case, after two for warming up.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--case", choices=sorted(cases), default=None)
    parser.add_argument("--repeats", type=int, default=repeats)
    arguments = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    tf.config.threading.set_inter_op_parallelism_threads(arguments.threads)
    for name in [arguments.case] if arguments.case else cases:
        items, steps, make = cases[name]
        report(name, arguments, items, steps, make())


def report(name, arguments, items, steps, call):
    """Times `call()`, a function of `steps` steps; median of repeats."""
    call()
    call()
    cpu, wall = [], []
    for _ in range(arguments.repeats):
        start = time.process_time(), time.perf_counter()
        call()
        cpu.append(time.process_time() - start[0])
        wall.append(time.perf_counter() - start[1])
    line = {
        "case": name,
        "threads": arguments.threads,
        "cpu_ms_per_step": round(1e3 * float(np.median(cpu)) / steps, 3),
        "items_per_s": round(items * steps / float(np.median(wall)), 1),
    }
    print(json.dumps(line), flush=True)


def plain_keras_steps(model, optimizer, split, batch, steps):
    """Training of a plain Keras model: the unit to compare with.

    Args:
        model: From images to logits.
        optimizer: Keras optimizer.
        split: `Split` of uint8 images.
        batch: Images per step.
        steps: Steps per call.

    Returns:
        A function of that many calls of `keras.Model.train_on_batch`.
    """
    model.compile(
        optimizer,
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    images = (split.images / 255.0).astype(np.float32)

    def train():
        for step in range(steps):
            rows = slice(step * batch, (step + 1) * batch)
            model.train_on_batch(images[rows], split.labels[rows])

    return train
