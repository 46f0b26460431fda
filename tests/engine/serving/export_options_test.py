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
        ({"quantize": "full_integer"}, False, "Add --format=litert"),
        ({"form": "onnx", "quantize": "int8"}, False, "format=onnx"),
        ({"form": "onnx"}, True, "--bundle is a SavedModel"),
        (
            {"form": "litert", "quantize": "int8", "representative_images": 9},
            False,
            "representative_images=9.* Add --quantize=full_integer",
        ),
        (
            {"form": "litert", "representative_images": 0},
            False,
            "at least 1. Received: 0",
        ),
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
    few = {"representative_images": 9}
    ExportOptions("litert", "full_integer", **few).check()
    ExportOptions("onnx").check()
