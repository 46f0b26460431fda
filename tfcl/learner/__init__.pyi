# The public names, read by `__init__.py` and by type checkers.
from .learner import Learner as Learner
from .task import Task as Task
