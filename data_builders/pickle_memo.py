"""What a damaged or hostile pickle could fill the memory with.

A pickle numbers the objects that it comes back to, and Python makes a table of
as many places as the largest number says: one changed bit of a small file takes
gigabytes.
"""

import pickletools

_PUTS = ("PUT", "BINPUT", "LONG_BINPUT")


def refuse_large_memo(file):
    """Reads a pickle through, without making anything of it.

    Args:
        file: Binary, at the begin of a pickle; it is there again afterwards.

    Raises:
        ValueError: If it numbers an object higher than it has bytes so far, or
            is damaged.
    """
    begin = file.tell()
    for opcode, number, place in pickletools.genops(file):
        if opcode.name in _PUTS and number > place - begin:
            raise ValueError(f"it is damaged: it has no object {number}")
    file.seek(begin)
