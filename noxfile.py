"""The suite on every supported Python: `nox`, or `nox -s tests-3.12`."""

import nox

nox.options.default_venv_backend = "uv|virtualenv"
_PYTHONS = ["3.10", "3.11", "3.12", "3.13"]


@nox.session(python=_PYTHONS)
def tests(session):
    """The tests with the locked versions; arguments go to pytest."""
    session.install("-r", "requirements-test.txt")
    words = session.posargs or ["-n", "2", "--dist", "loadfile", "tests"]
    session.run("python", "-m", "pytest", "-q", *words)


@nox.session(python="3.11")
def loggers(session):
    """The tests of the loggers, with their packages, which are large."""
    session.install("-r", "requirements-test.txt")
    session.install("-c", "requirements-test.txt", ".[wandb,mlflow]")
    words = ["tests/reporting/loggers", "tests/engine/watching"]
    session.run("python", "-m", "pytest", "-q", *words)


@nox.session(python="3.11")
def lint(session):
    """Style, format and types."""
    session.install("-r", "requirements-test.txt")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")


@nox.session(python="3.11")
def wheel(session):
    """Builds the wheel and runs its commands in a fresh environment."""
    folder = session.create_tmp()
    session.install("build")
    session.run("python", "-m", "build", "--wheel", f"--outdir={folder}")
    session.install(f"tfcl[demo] @ file://{_only_wheel(folder)}")
    session.chdir(folder)
    session.run("tfcl", "--version")
    session.run("tfcl", "train", "--list")


def _only_wheel(folder):
    import pathlib

    (path,) = pathlib.Path(folder).resolve().glob("*.whl")
    return path
