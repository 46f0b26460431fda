"""What an export may be asked for."""

from __future__ import annotations

import dataclasses
from typing import Annotated, TypeAlias

from tfcl.arguments import one_of, within
from tfcl.errors import UserError

SAVED_MODEL, KERAS, LITERT = "saved_model", "keras", "litert"
FORMATS = (SAVED_MODEL, KERAS, LITERT)
NONE, INT8, FLOAT16 = "none", "int8", "float16"
QUANTIZATIONS = (NONE, INT8, FLOAT16)

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
    """

    form: Form = SAVED_MODEL
    quantize: Quantization = NONE
    reject_below: Threshold | None = None
    bundle: bool = False

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
        if self.reject_below is not None and self.form != SAVED_MODEL:
            raise UserError(
                f"--format={self.form} gives probabilities alone, and no name "
                "that --reject_below could replace. Compare the largest with "
                "the threshold where they are used, or export a SavedModel."
            )
