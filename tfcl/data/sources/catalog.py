"""The labelled data sets by name: where they come from, under which terms."""

import dataclasses
import difflib

from tfcl.data_builders.skill.tasks import TASKS
from tfcl.errors import UserError


@dataclasses.dataclass(frozen=True)
class DataSource:
    """How TFDS knows a data set and what it calls its parts.

    Args:
        builder: Name of the TFDS builder, `name` or `name/config`.
        image_key: Feature that holds the image.
        label_key: Feature that holds the class index.
        train_split: TFDS split behind "train"; None for a set to test on.
        test_split: TFDS split behind "test"; None if the set has no parts
            and every image is in "train".
        validation_split: TFDS split behind "validation", for sets that come
            with one; streams hold their own out unless asked for it.
        terms: Licence or terms of use, as the owners state them.
        module: Module of this repository whose class `Builder` builds the
            set; None for a builder that comes with TFDS.
    """

    builder: str
    image_key: str = "image"
    label_key: str = "label"
    train_split: str | None = "train"
    test_split: str | None = "test"
    validation_split: str | None = None
    _: dataclasses.KW_ONLY
    terms: str
    module: str | None = None


def _ours(builder, **kwargs):
    """The entry of a builder of `data_builders/`, `name` or `name/config`."""
    name = builder.partition("/")[0]
    module = f"tfcl.data_builders.{name}.{name}_dataset_builder"
    return DataSource(builder, module=module, **kwargs)


def _family(builder, configs, prefix=None, **kwargs):
    """Entries "<prefix>_<config>" of several configurations."""
    prefix = prefix or builder
    return {
        f"{prefix}_{config}": _ours(f"{builder}/{config}", **kwargs)
        for config in configs
    }


_IMAGENET_TERMS = (
    "ImageNet's terms: non-commercial research and education only."
)
_CUB_TERMS = (
    "Non-commercial research and education (Caltech); the photographs belong "
    "to their authors."
)
_CARS_TERMS = "For research (Krause et al., 2013)."
_FLOWERS_TERMS = "No explicit licence (VGG, University of Oxford)."
_POINTS = {
    "image_key": "point",
    "terms": "Generated; nothing of others in it (recipe of Tiezzi et al., "
    "2024).",
}

# Sets that TFDS builds.
_STOCK = {
    "caltech_birds2011": DataSource("caltech_birds2011", terms=_CUB_TERMS),
    "cars196": DataSource("cars196", terms=_CARS_TERMS),
    "cifar10": DataSource(
        "cifar10",
        terms="No formal licence; citation of Krizhevsky (2009) requested.",
    ),
    "cifar100": DataSource(
        "cifar100",
        label_key="label",  # The 100 fine classes; `coarse_label` has 20.
        terms="No formal licence; citation of Krizhevsky (2009) requested.",
    ),
    **{
        f"domainnet_{domain}": DataSource(
            f"domainnet/{domain}",
            terms="Fair use notice of the owners: non-commercial research "
            "(Peng et al., 2019).",
        )
        for domain in (
            *("clipart", "infograph", "painting"),
            *("quickdraw", "real", "sketch"),
        )
    },
    "dtd": DataSource(
        "dtd",
        # And "validation", a third of the images each.
        terms="For research (Cimpoi et al., 2014).",
    ),
    **{
        f"emnist_{config}": DataSource(
            f"emnist/{config}",
            terms="Work of the US government (NIST; Cohen et al., 2017).",
        )
        for config in ("balanced", "byclass", "bymerge", "digits", "letters")
    },
    "eurosat": DataSource(
        "eurosat/rgb",
        test_split=None,
        terms="MIT licence; Copernicus Sentinel data (Helber et al., 2019).",
    ),
    "fashion_mnist": DataSource(
        "fashion_mnist", terms="MIT licence (Zalando SE, 2017)."
    ),
    "food101": DataSource(
        "food101",
        test_split="validation",
        terms="Images of Foodspotting, for scientific fair use (Bossard et "
        "al., 2014).",
    ),
    "imagenet2012": DataSource(
        "imagenet2012", test_split="validation", terms=_IMAGENET_TERMS
    ),
    "imagenet_r": DataSource(
        "imagenet_r",
        # 200 of ImageNet's 1,000 labels occur; all 30,000 images are in one
        # part, which Memory Head divides.
        train_split="test",
        test_split=None,
        terms="Images of many holders; the owners' code is under the MIT "
        "licence (Hendrycks et al., 2021).",
    ),
    "imagenet_resized_32": DataSource(
        "imagenet_resized/32x32",
        test_split="validation",
        terms=_IMAGENET_TERMS,
    ),
    "kmnist": DataSource("kmnist", terms="CC BY-SA 4.0 (CODH, 2018)."),
    "mnist": DataSource(
        "mnist",
        terms="Commonly cited as CC BY-SA 3.0 (LeCun, Cortes, Burges).",
    ),
    "omniglot": DataSource(
        "omniglot",
        # 30 background and 20 evaluation alphabets; no character is in both.
        terms="MIT licence (Lake, Salakhutdinov, Tenenbaum, 2015).",
    ),
    "oxford_flowers102": DataSource(
        "oxford_flowers102",
        validation_split="validation",
        terms=_FLOWERS_TERMS,
    ),
    "resisc45": DataSource(
        "resisc45",
        test_split=None,
        terms="For research (Cheng, Han, Lu, 2017).",
    ),
    "stanford_online_products": DataSource(
        "stanford_online_products",
        label_key="super_class_id",  # 12 kinds of product.
        terms="For research (Song et al., 2016).",
    ),
    "stl10": DataSource(
        "stl10",
        terms="No formal licence, images out of ImageNet; citation of "
        "Coates, Ng, Lee (2011) requested.",
    ),
    "svhn_cropped": DataSource(
        "svhn_cropped",
        terms="For non-commercial use (Netzer et al., 2011).",
    ),
}

# Sets that this repository builds.
_BUILT_HERE = {
    **_family(
        "adience",
        [f"age{fold}" for fold in range(5)],
        terms="For research, on registration (Eidinger, Enbar, Hassner, 2014).",
    ),
    "affectnet": _ours(
        "affectnet",
        test_split="validation",
        terms="Only on a signed agreement with the owners (Mollahosseini, "
        "Hasani, Mahoor, 2017).",
    ),
    "chalearn_gender": _ours(
        "chalearn_gender",
        test_split="validation",
        terms="On registration with ChaLearn (Escalera et al., 2016).",
    ),
    **{
        f"{name}_{bucket}": _ours(
            f"clear/{name}_{bucket}",
            terms="Creative Commons licences of the images' owners (Lin et "
            "al., 2021).",
        )
        for name in ("clear10", "clear100")
        for bucket in range(1, 11)
    },
    "cub_cropped": _ours("cub_cropped", terms=_CUB_TERMS),
    "digits": _ours("digits", terms="CC BY 4.0 (Alpaydin and Kaynak, 1998)."),
    "fceleba": _ours(
        "fceleba",
        terms="Non-commercial research only, no redistribution (MMLAB, CUHK).",
    ),
    "femnist": _ours(
        "femnist/by_file",
        terms="From NIST Special Database 19, public domain in the US; cut by "
        "LEAF (Caldas et al., 2018).",
    ),
    "femnist_published": _ours(
        "femnist/published",
        terms="From NIST Special Database 19, public domain in the US; cut by "
        "LEAF (Caldas et al., 2018).",
    ),
    "flowers_cpg": _ours("flowers_cpg", terms=_FLOWERS_TERMS),
    "imagenet32": _ours(
        "imagenet32/planar", test_split="validation", terms=_IMAGENET_TERMS
    ),
    "imagenet32_scrambled": _ours(
        "imagenet32/scrambled", test_split="validation", terms=_IMAGENET_TERMS
    ),
    "lfw_pairs": _ours(
        "lfw_pairs",
        # Two images per example; "image_2" is the other.
        image_key="image_1",
        train_split=None,
        terms="For research (Huang et al., 2007).",
    ),
    **_family(
        "mini_imagenet",
        ("original", "noise_1", "noise_2"),
        validation_split="validation",
        terms=_IMAGENET_TERMS,
    ),
    **_family("modes", ("iid", "ci", "cdi", "cdid"), **_POINTS),
    **_family("moons", ("iid", "ci", "cdi", "cdid"), **_POINTS),
    **_family(
        "office_home",
        ("art", "clipart", "product", "real_world"),
        test_split=None,
        terms="Copyrighted images, for non-commercial research and "
        "education as fair use (Venkateswara et al., 2017).",
    ),
    "sketches": _ours("sketches", terms="CC BY 4.0 (Eitz, Hays, Alexa, 2012)."),
    "stanford_cars_cropped": _ours("stanford_cars_cropped", terms=_CARS_TERMS),
    "tiny_imagenet": _ours(
        "tiny_imagenet", test_split="validation", terms=_IMAGENET_TERMS
    ),
    "vggface2": _ours(
        "vggface2/official",
        # Other persons than in train.
        terms="For research (Cao et al., 2018).",
    ),
    "vggface2_face_verification": _ours(
        "vggface2/face_verification",
        test_split="validation",
        terms="For research (Cao et al., 2018).",
    ),
    **_family(
        "wikiart",
        ("style", "artist", "genre"),
        test_split="validation",
        terms="Non-commercial research only; the terms of WikiArt.org.",
    ),
    "wikiart_piggyback": _ours(
        "wikiart/piggyback",
        terms="Non-commercial research only; the terms of WikiArt.org.",
    ),
    # CLR tests on the collection's validation images.
    **_family(
        "skill",
        [
            task.plain_name + ending
            for task in TASKS
            for ending in ("", "_full")
        ],
        test_split="validation",
        terms="Those of the data set that the task was taken from (SKILL-102, "
        "Ge et al., 2023).",
    ),
}

# Names under which people know sets of which there are several versions.
_ALSO_CALLED = {
    "celeba": ("fceleba",),
    "cub_200_2011": ("cub_cropped", "caltech_birds2011"),
    "cub": ("cub_cropped", "caltech_birds2011"),
    "imagenet": ("imagenet2012", "imagenet32"),
    "lfw": ("lfw_pairs",),
    "stanford_cars": ("stanford_cars_cropped", "cars196"),
}

CATALOG = dict(sorted({**_STOCK, **_BUILT_HERE}.items()))


def find(name: str) -> DataSource:
    """The entry of `CATALOG` under a name.

    Raises:
        UserError: If there is none; names the nearest.
    """
    if name in CATALOG:
        return CATALOG[name]
    hint = _hint(str(name).lower())
    listed = [known for known in CATALOG if not known.startswith("skill_")]
    raise UserError(
        f"Unknown data set '{name}'. {hint}Give one of: "
        f"{', '.join(listed)}, or skill_<task> or skill_<task>_full of "
        f"SKILL's {len(TASKS)} tasks, as skill_{TASKS[0].plain_name}."
    )


def _hint(name):
    versions = _ALSO_CALLED.get(name) or [
        known for known in CATALOG if known.startswith(f"{name}_")
    ]
    if name == "skill" or not versions:
        versions = difflib.get_close_matches(name, CATALOG, n=1)
    if not versions:
        return ""
    return "Did you mean " + " or ".join(f"'{v}'" for v in versions) + "? "
