# The public names, read by `__init__.py` and by type checkers.
from .balanced import Balanced as Balanced
from .buffer import ReplayBuffer as ReplayBuffer
from .exemplars import Exemplars as Exemplars
from .exemplars import herded as herded
from .host_reservoir import HostReservoir as HostReservoir
from .insertion import CoinFlip as CoinFlip
from .insertion import Insertion as Insertion
from .insertion import Reservoir as Reservoir
from .table import Column as Column
from .table import Table as Table
