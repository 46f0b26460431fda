# The public names, read by `__init__.py` and by type checkers.
from .augmentation import BrightnessJitter as BrightnessJitter
from .augmentation import Compose as Compose
from .augmentation import Cutout as Cutout
from .augmentation import Draws as Draws
from .augmentation import PadAndCrop as PadAndCrop
from .augmentation import RandomFlip as RandomFlip
from .augmentation import RandomResizedCrop as RandomResizedCrop
from .class_pools import ClassPools as ClassPools
from .lazy_images import MemoryLimits as MemoryLimits
from .pairs import PairSplit as PairSplit
from .preprocessing import Preprocessing as Preprocessing
from .scenarios.blurry_stream import blurry_stream as blurry_stream
from .scenarios.class_incremental_stream import (
    class_incremental_stream as class_incremental_stream,
)
from .scenarios.in_scenario import in_scenario as in_scenario
from .scenarios.online_stream import online_stream as online_stream
from .scenarios.permuted_stream import permuted_stream as permuted_stream
from .scenarios.repeated_stream import repeated_stream as repeated_stream
from .scenarios.rotated_stream import rotated_stream as rotated_stream
from .sources.catalog import DataSource as DataSource
from .split import Split as Split
from .streams.binary_stream import binary_stream as binary_stream
from .streams.class_split import class_split_stream as class_split_stream
from .streams.dataset_stream import dataset_stream as dataset_stream
from .streams.feature_stream import feature_stream as feature_stream
from .streams.folder_stream import folder_stream as folder_stream
from .streams.increments import task_sizes as task_sizes
from .streams.lasem_cifar100 import (
    lasem_cifar100_stream as lasem_cifar100_stream,
)
from .streams.long_tail import LongTail as LongTail
from .streams.office_home import office_home_stream as office_home_stream
from .streams.omniglot import omniglot_stream as omniglot_stream
from .streams.point_stream import point_stream as point_stream
from .streams.spg_sequences import spg_sequence as spg_sequence
from .streams.stl10 import stl10_stream as stl10_stream
from .synthetic import synthetic_stream as synthetic_stream
from .task import StreamSpec as StreamSpec
from .task import Task as Task
from .task import TaskStream as TaskStream
from .task import Visit as Visit
from .training_crops import RandomAreaCrop as RandomAreaCrop
from .training_crops import RandomPlaceCrop as RandomPlaceCrop
