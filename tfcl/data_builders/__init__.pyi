# Type checkers do not follow `__path__`: every name may be there.
from typing import Any

def __getattr__(name: str) -> Any: ...
