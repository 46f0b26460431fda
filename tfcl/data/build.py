"""The former place of `tfcl.build`; goes with the next release."""

import sys

from tfcl import build, commands

if __name__ == "__main__":
    print(
        "tfcl: python -m tfcl.data.build is now python -m tfcl.build; the old "
        "name goes with the next release.",
        file=sys.stderr,
    )
    commands.run(build.main)
