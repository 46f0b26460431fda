"""What an export may be asked for."""

from __future__ import annotations

import dataclasses
from typing import Annotated, TypeAlias

from tfcl.arguments import one_of, within
from tfcl.errors import UserError

SAVED_MODEL, KERAS, LITERT = "saved_model", "keras", "litert"
ONNX = "onnx"
FORMATS = (SAVED_MODEL, KERAS, LITERT, ONNX)
NONE, INT8, FLOAT16 = "none", "int8", "float16"
FULL_INTEGER = "full_integer"
QUANTIZATIONS = (NONE, INT8, FLOAT16, FULL_INTEGER)
REPRESENTATIVE = 200  # LiteRT advises 100 to 500.

Form: TypeAlias = Annotated[str, one_of(*FORMATS)]
Quantization: TypeAlias = Annotated[str, one_of(*QUANTIZATIONS)]
Threshold: TypeAlias = Annotated[float, within("(0, 1)")]


@dataclasses.dataclass(frozen=True)
class ExportOptions:
    """How tasks are exported.

    Attributes:
        form: One of `FORMATS`.
        quantize: One of `QUANTIZATIONS`; of LiteRT files.
        reject_below: See `tfcl.engine.serving.rejection`; of SavedModels.
        bundle: Whether the tasks become one SavedModel.
        representative_images: How many images of a task, at most, tell the
            ranges of a `FULL_INTEGER` file.
    """

    form: Form = SAVED_MODEL
    quantize: Quantization = NONE
    reject_below: Threshold | None = None
    bundle: bool = False
    representative_images: int = REPRESENTATIVE

    def check(self) -> None:
        """Refuses options that do not go together.

        Raises:
            UserError: With the way out.
        """
        if self.bundle and self.form != SAVED_MODEL:
            raise UserError(
                f"--format={self.form} is of one task each; --bundle is a "
                "SavedModel. Leave one of them out."
            )
        if self.quantize != NONE and self.form != LITERT:
            raise UserError(
                f"--quantize={self.quantize} is for files of LiteRT. Add "
                f"--format=litert, or leave it out. Received: "
                f"--format={self.form}"
            )
        count = self.representative_images
        if count < 1:
            raise UserError(
                "--representative_images must be a number of at least 1. "
                f"Received: {count}"
            )
        if count != REPRESENTATIVE and self.quantize != FULL_INTEGER:
            raise UserError(
                f"--representative_images={count} is of files that are integer "
                f"throughout. Add --quantize={FULL_INTEGER}, or leave it out. "
                f"Received: --quantize={self.quantize}"
            )
        if self.reject_below is not None and self.form != SAVED_MODEL:
            raise UserError(
                f"--format={self.form} gives probabilities alone, and no name "
                "that --reject_below could replace. Compare the largest with "
                "the threshold where they are used, or export a SavedModel."
            )
