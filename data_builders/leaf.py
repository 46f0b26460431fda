"""Data sets cut into users by LEAF (Caldas et al., 2018): its JSON files.

One object per file: `users` (ids), `num_samples` (counts) and
`user_data[user]` with the lists `x` and `y`.
"""

import json

from tfcl.data_builders import manual_files
from tfcl.data_builders.manual_files import DataFileError


def load(path):
    """The users of a LEAF file in its order: a list of `(user, x, y)`.

    Raises:
        DataFileError: If the file is no JSON of this form.
    """
    text = manual_files.text(path)
    try:
        content = json.loads(text)
        users = [
            (user, content["user_data"][user]["x"], _labels(content, user))
            for user in content["users"]
        ]
        counts = list(content["num_samples"])
    except (ValueError, KeyError, TypeError) as error:
        raise DataFileError(
            f"'{path}' is no whole LEAF file ({type(error).__name__})"
        ) from None
    for (user, x, y), count in zip(users, counts):
        if not len(x) == len(y) == count:
            raise DataFileError(
                f"'{path}': user {user} has {len(x)} samples and {len(y)} "
                f"labels where {count} are stated"
            )
    return users


def _labels(content, user):
    return [int(y) for y in content["user_data"][user]["y"]]
