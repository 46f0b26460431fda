"""Learns a stream of tasks: `python -m tfcl.train --stream=... --method=...`.

A run is a stream and a method, perhaps with a network, each a file of `gin/`;
`--list` tells what there is. Further gin files and bindings come after them.
"""

from __future__ import annotations

import pathlib
import shlex
import sys
import typing

if __name__ == "__main__" and "--list" in sys.argv[1:]:
    # At once: TensorFlow, which all that follows needs, takes seconds to load.
    from tfcl.configuration import listing, messages

    messages.write_what_the_terminal_can()
    with messages.while_someone_reads():
        print(listing.listing())
    sys.exit()

from absl import flags
from rich.console import Console

from tfcl import commands, configuration
from tfcl.configuration import command_flags
from tfcl.engine.experiment import Experiment
from tfcl.engine.loop import learn_stream
from tfcl.engine.process.stopping import Stopping
from tfcl.engine.runtime import DISTRIBUTIONS
from tfcl.learner import runs
from tfcl.reporting import tables

if typing.TYPE_CHECKING:
    from collections.abc import Sequence


_DISTRIBUTION = flags.DEFINE_enum(
    "distribution", "none", DISTRIBUTIONS, "tf.distribute strategy."
)
command_flags.define_other_numerics()
command_flags.define_data_dir()
command_flags.define_model_dir(required=False)
command_flags.define_gin()
flags.DEFINE_bool("list", False, "Print what there is, and end.")


def main(argv: Sequence[str]) -> None:
    """Opens, resumes or begins the run, learns, prints the final table."""
    del argv  # Without the flags, which the results should tell.
    configuration.load(command_flags.gin_files(), command_flags.gin_bindings())
    bindings = configuration.bindings()
    model_dir = flags.FLAGS.model_dir or _default_folder()
    commands.refuse_missing_files(model_dir)
    runs.finish_change(model_dir)
    with runs.explained():
        run = Experiment(
            model_dir=model_dir,
            data_dir=flags.FLAGS.data_dir,
            distribution=_DISTRIBUTION.value,
            bindings=bindings,
            command=shlex.join(["python", "-m", "tfcl.train", *sys.argv[1:]]),
            allow_other_numerics=flags.FLAGS.allow_other_numerics,
        )
    try:
        with Stopping(lambda: setattr(run, "stop_wished", True)):
            commands.begin(run, bindings)
            learn_stream(run)
    finally:
        run.close()
    if run.chief:
        _show(run)


def _default_folder():
    given = flags.FLAGS
    words = [given.stream, given.method, given.network, given.scenario]
    if given.gin_file and not (given.stream and given.method):
        words.insert(0, pathlib.PurePath(given.gin_file[0]).stem)
    return f"runs/{'_'.join(filter(None, words))}"


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
