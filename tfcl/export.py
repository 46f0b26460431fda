"""Writes SavedModels: `python -m tfcl.export --model_dir=... [--task=...]`."""

from absl import flags

from tfcl import commands

_TASKS = flags.DEFINE_multi_string(
    "task", [], "Name of a learned task; repeats. Default: all."
)
_FOLDER = flags.DEFINE_string(
    "export_dir", None, "Where to write. Default: <model_dir>/export."
)
commands.define_model_dir()


def main(argv):
    """Exports the tasks and prints the folders."""
    del argv
    learned = commands.open_learned(flags.FLAGS.model_dir)
    for name in _TASKS.value or learned.names:
        print(learned.export(learned.find(name), _FOLDER.value))


if __name__ == "__main__":
    commands.run(main)
