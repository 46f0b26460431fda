"""Options of an export that do not go together are refused."""

import pytest

from tfcl.engine.serving.export_options import ExportOptions
from tfcl.errors import UserError


@pytest.mark.parametrize(
    ("options", "bundle", "match"),
    [
        ({"form": "keras"}, True, "--bundle is a SavedModel"),
        ({"quantize": "int8"}, False, "Add --format=litert"),
        ({"quantize": "int8"}, True, "Add --format=litert"),
        ({"form": "keras", "quantize": "float16"}, False, "format=keras"),
        ({"form": "litert", "reject_below": 0.5}, False, "probabilities alone"),
    ],
)
def test_what_does_not_go_together(options, bundle, match):
    with pytest.raises(UserError, match=match):
        ExportOptions(**options, bundle=bundle).check()


def test_what_does():
    ExportOptions(bundle=True).check()
    ExportOptions(reject_below=0.5, bundle=True).check()
    ExportOptions("litert", "int8").check()
