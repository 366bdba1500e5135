"""How much freed memory this process keeps for itself before it gives it back to the system.

The classifier makes and drops arrays of megabytes, a hundred times a second. glibc gives such memory back at once, and every
byte of the next array is a page that the kernel has to find and to clear: 6.0 CPU seconds a GiB of CSV where that was
measured, against 4.8 with these bounds. Keeping 16 MiB it was 4.3, and sixteen uploads at once took 25 MB
more. Keeping is bounded by arena; `python -m tests.bench rss` measures what it comes to.

A process that only classifies has one arena, and keeps more: 1.2 CPU seconds a GiB of CSV with 16 MiB, 3.4 with 4.

Source: mallopt(3). An operator's own `GLIBC_TUNABLES` or `MALLOC_*_` variables come first.
"""

from __future__ import annotations

import ctypes
import os
from typing import Final

_TRIM_THRESHOLD: Final = -1  # M_TRIM_THRESHOLD of <malloc.h>
_MMAP_THRESHOLD: Final = -3  # M_MMAP_THRESHOLD
KEPT: Final = 4 << 20
CLASSIFYING: Final = 16 << 20
MAPPED: Final = 8 << 20


def keep_freed_memory(kept: int = KEPT) -> bool:
    """Set the bounds for this process, in bytes; False where an operator set others, or the allocator has none."""
    if any(name == "GLIBC_TUNABLES" or name.startswith("MALLOC_") for name in os.environ):
        return False
    set_bound = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_bound is None:  # another C library
        return False
    return bool(set_bound(_MMAP_THRESHOLD, max(kept, MAPPED))) and bool(set_bound(_TRIM_THRESHOLD, kept))
