"""Progress of long calls through tqdm, where it is installed and stderr is a terminal."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

Progress = Callable[[int, int, str], None]


@contextlib.contextmanager
def bar(wanted: bool | None, unit: str) -> Iterator[Progress | None]:
    """A callable (done, all, what) for the core, or None. `wanted` None: where stderr is a terminal."""
    if wanted is None:
        wanted = sys.stderr.isatty()
    try:
        from tqdm import tqdm
    except ImportError:
        wanted = False
    if not wanted:
        yield None
        return
    with tqdm(total=0, unit=unit, file=sys.stderr, leave=False) as shown:

        def update(done: int, total: int, what: str) -> None:
            shown.total = total
            shown.set_postfix_str(what, refresh=False)
            shown.update(done - shown.n)

        yield update
