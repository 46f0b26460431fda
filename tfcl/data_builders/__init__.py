"""The TFDS builders of the folder `data_builders`, as `tfcl.data_builders`.

In a checkout that folder stands beside the package, and this one leads to it.
As installed it lies inside of the package, in this one's place.
"""

import pathlib

__path__ = [str(pathlib.Path(__file__).resolve().parents[2] / "data_builders")]
