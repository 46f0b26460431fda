"""Learns a stream of tasks: `python -m tfcl.train --gin_file=...`."""

import shlex
import signal
import sys

from absl import flags
from rich.console import Console

from tfcl import commands, configuration
from tfcl.engine.experiment import Experiment
from tfcl.engine.loop import learn_stream
from tfcl.engine.runtime import DISTRIBUTIONS
from tfcl.reporting import tables

_GIN_FILES = flags.DEFINE_multi_string(
    "gin_file", None, "gin file; may be given several times, later lines win."
)
_GIN_BINDINGS = flags.DEFINE_multi_string(
    "gin_bindings", None, "One binding, e.g. 'TaskTraining.epochs=60'; repeats."
)
_DISTRIBUTION = flags.DEFINE_enum(
    "distribution", "none", DISTRIBUTIONS, "tf.distribute strategy."
)
commands.define_data_dir()
commands.define_model_dir(required=False)
flags.mark_flag_as_required("gin_file")


def main(argv):
    """Opens, resumes or begins the run, learns, prints the final table."""
    del argv  # Without the flags, which the results should tell.
    configuration.load(_GIN_FILES.value, _GIN_BINDINGS.value or [])
    bindings = configuration.bindings()
    with commands.explained():
        run = Experiment(
            model_dir=flags.FLAGS.model_dir or _default_folder(),
            data_dir=flags.FLAGS.data_dir,
            distribution=_DISTRIBUTION.value,
            bindings=bindings,
            command=shlex.join(["python", "-m", "tfcl.train", *sys.argv[1:]]),
        )
    configuration.check_all_used()
    commands.refuse_other_bindings(run, bindings)
    _stop_on_sigterm(run)
    run.start(
        {
            "config.gin": configuration.asked(),
            "operative_config.gin": configuration.used(),
        }
    )
    try:
        learn_stream(run)
    finally:
        run.close()
    if run.chief:
        _show(run)


def _default_folder():
    name = _GIN_FILES.value[0].rsplit("/", maxsplit=1)[-1]
    return f"runs/{name.removesuffix('.gin')}"


def _stop_on_sigterm(run):
    def wish(signum, frame):
        del signum, frame
        run.stop_wished = True

    signal.signal(signal.SIGTERM, wish)


def _show(run):
    console = Console()
    results = run.results()
    console.print(tables.final_table(results))
    console.print(tables.summary_line(results))
    folder = run.model_dir
    console.print(f"Report       {folder}/report.html", soft_wrap=True)
    console.print(
        f"TensorBoard  tensorboard --logdir={folder}/tensorboard",
        soft_wrap=True,
    )
    if run.exports:
        console.print(f"SavedModels  {folder}/export/", soft_wrap=True)


if __name__ == "__main__":
    commands.run(main)
