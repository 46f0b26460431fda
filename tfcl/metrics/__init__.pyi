# The public names, read by `__init__.py` and by type checkers.
from .accuracy_matrix import average_accuracy as average_accuracy
from .accuracy_matrix import average_accuracy_curve as average_accuracy_curve
from .accuracy_matrix import (
    average_incremental_accuracy as average_incremental_accuracy,
)
from .accuracy_matrix import backward_transfer as backward_transfer
from .accuracy_matrix import forgetting as forgetting
from .accuracy_matrix import forgetting_per_task as forgetting_per_task
from .accuracy_matrix import forward_transfer as forward_transfer
from .accuracy_matrix import intransigence as intransigence
from .accuracy_matrix import learning_accuracy as learning_accuracy
from .calibration import CalibrationBins as CalibrationBins
from .calibration import calibration_bins as calibration_bins
from .calibration import (
    expected_calibration_error as expected_calibration_error,
)
from .confusion import class_accuracies as class_accuracies
from .confusion import confused_pairs as confused_pairs
from .confusion import confusion_counts as confusion_counts
from .matrix_csv import from_csv as from_csv
from .matrix_csv import to_csv as to_csv
from .ownership import ownership as ownership
from .verification import Verification as Verification
from .verification import angular_distance as angular_distance
from .verification import verification_accuracy as verification_accuracy
