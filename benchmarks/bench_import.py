"""Seconds until a fresh interpreter has imported a part of the package: least of several, less those of an empty one.

Run `python benchmarks/bench_import.py`. numba, scikit-learn and scipy come in where they are needed, and not before.
"""

from __future__ import annotations

import subprocess
import sys
import time

PARTS = ("errref", "errref.cli", "errref.exact", "errref.claims", "errref.isodata", "errref.reflection")
ROUNDS = 5
TARGET = 0.5  # seconds, of `import errref`


def seconds(code: str) -> float:
    """Least seconds of a fresh interpreter that runs the code."""
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    empty = seconds("")
    for part in PARTS:
        target = f"   target < {TARGET} s" if part == "errref" else ""
        print(f"import {part:18} {max(0, seconds(f'import {part}') - empty):5.2f} s{target}")


if __name__ == "__main__":
    main()
