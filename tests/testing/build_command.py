"""`python -m tfcl.build` inside of the test's process."""

from absl import flags
from absl.testing import flagsaver

from tfcl import build, commands


def run_build(capsys, *arguments, **values):
    """Runs the command; returns (exit code, stdout, stderr).

    Args:
        capsys: pytest's.
        *arguments: What stands on the command line besides flags.
        **values: Flags.
    """
    flags.FLAGS.mark_as_parsed()
    code = 0
    capsys.readouterr()
    with flagsaver.flagsaver(**values):
        try:
            with commands.one_line_errors():
                build.main(["build", *arguments])
        except SystemExit as ended:
            code = ended.code
    return code, *capsys.readouterr()


def one_line(ended):
    """The message of a run that failed as it should."""
    code, out, err = ended
    assert code == 2 and not out, (code, out)
    (line,) = [x for x in err.splitlines() if x.startswith("tfcl: ")]
    assert "Traceback" not in err
    assert line.startswith("tfcl: error: ")
    return line
