"""The labelled data sets by name: where they come from, under which terms."""

import dataclasses
import difflib

from tfcl.errors import UserError


@dataclasses.dataclass(frozen=True)
class DataSource:
    """How TFDS knows a data set and what it calls its parts.

    Args:
        builder: Name of the TFDS builder, `name` or `name/config`.
        image_key: Feature that holds the picture.
        label_key: Feature that holds the class index.
        train_split: TFDS split behind "train".
        test_split: TFDS split behind "test"; None if the set has no parts
            and every picture is in "train".
        terms: Licence or terms of use, as the owners state them.
        module: Module of this repository whose class `Builder` builds the
            set; None for a builder that comes with TFDS.
    """

    builder: str
    image_key: str = "image"
    label_key: str = "label"
    train_split: str = "train"
    test_split: str | None = "test"
    _: dataclasses.KW_ONLY
    terms: str
    module: str | None = None


def _office_home(domain):
    return DataSource(
        f"office_home/{domain}",
        test_split=None,
        terms="Copyrighted pictures, for non-commercial research and "
        "education as fair use (Venkateswara et al., 2017).",
        module="data_builders.office_home.office_home_dataset_builder",
    )


CATALOG = {
    "cifar10": DataSource(
        "cifar10",
        terms="No formal licence; citation of Krizhevsky (2009) requested.",
    ),
    "cifar100": DataSource(
        "cifar100",
        label_key="label",  # The 100 fine classes; `coarse_label` has 20.
        terms="No formal licence; citation of Krizhevsky (2009) requested.",
    ),
    "digits": DataSource(
        "digits",
        terms="CC BY 4.0 (Alpaydin and Kaynak, 1998).",
        module="data_builders.digits.digits_dataset_builder",
    ),
    "fashion_mnist": DataSource(
        "fashion_mnist", terms="MIT licence (Zalando SE, 2017)."
    ),
    "mnist": DataSource(
        "mnist",
        terms="Commonly cited as CC BY-SA 3.0 (LeCun, Cortes, Burges).",
    ),
    "office_home_art": _office_home("art"),
    "office_home_clipart": _office_home("clipart"),
    "office_home_product": _office_home("product"),
    "office_home_real_world": _office_home("real_world"),
    "omniglot": DataSource(
        "omniglot",
        # 30 background and 20 evaluation alphabets; no character is in both.
        terms="MIT licence (Lake, Salakhutdinov, Tenenbaum, 2015).",
    ),
    "stl10": DataSource(
        "stl10",
        terms="No formal licence, pictures out of ImageNet; citation of "
        "Coates, Ng, Lee (2011) requested.",
    ),
}


def find(name: str) -> DataSource:
    """The entry of `CATALOG` under a name.

    Raises:
        UserError: If there is none; names the nearest.
    """
    if name in CATALOG:
        return CATALOG[name]
    nearest = difflib.get_close_matches(str(name).lower(), CATALOG, n=1)
    hint = f"Did you mean '{nearest[0]}'? " if nearest else ""
    raise UserError(
        f"Unknown data set '{name}'. {hint}Set the stream's `dataset` to one "
        f"of: {', '.join(sorted(CATALOG))}."
    )
