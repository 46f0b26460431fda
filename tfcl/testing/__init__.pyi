# The public names, read by `__init__.py` and by type checkers.
from .contract import agrees_with_two_replicas as agrees_with_two_replicas
from .contract import run_method_test as run_method_test
from .steps import first_training as first_training
from .steps import runner_for as runner_for
from .steps import two_cpus as two_cpus
from .steps import two_replicas as two_replicas
from .tiny import first_task_logits as first_task_logits
from .tiny import learned as learned
from .tiny import tiny_stream as tiny_stream
from .tiny import tiny_training as tiny_training
from .tiny import undrawn_figures as undrawn_figures
