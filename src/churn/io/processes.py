"""Other processes of this machine."""

import os


def runs(process: int) -> bool:
    """Whether a process of this number runs, anybody's."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
