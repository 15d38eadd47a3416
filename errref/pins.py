"""Variables that keep the numeric libraries to kernels that every x86-64 processor with AVX2 has.

Long training is chaotic: a last digit that differs becomes a first one. Libraries pick their kernels by the processor,
so that two machines end at other digits. These variables take that choice from them. They count only if they are set
before a library is loaded; so whatever starts a process takes them from here, and importing the package sets nothing. A
variable that is set already stays, also where it is set to nothing::

    python -m errref.pins jupyter lab book            # any command, with the pins
    python -m errref.pins --afresh COMMAND            # the same, whatever was set before
    python -m errref.pins --none COMMAND              # nothing is pinned: as this processor computes by itself
    ERRREF_PINS=off errref check table-quartic        # the same of the command `errref`, which pins by itself

What they buy was measured; the book's page *Reproduce* says on which machines.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Mapping

SWITCH = "ERRREF_PINS"  # "off": nothing is pinned
HARMLESS = {  # upper bounds, which a processor may lie below
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",  # numpy's exponentials, logarithms, powers and sums
    "ONEDNN_MAX_CPU_ISA": "AVX2",  # torch's convolutions
    "MKL_CBWR": "COMPATIBLE",  # torch's matrix products, which MKL else picks by the processor's maker
}
FORCED = {  # kernels that end the process on a processor without AVX2
    "OPENBLAS_CORETYPE": "Haswell",  # matrix products and decompositions of numpy and scipy
    "ATEN_CPU_CAPABILITY": "avx2",  # torch's own loops
}
PINS = HARMLESS | FORCED
# Others that move digits: they go too, where the environment is made afresh.
RELATED = ("OPENBLAS_L2_SIZE", "NPY_ENABLE_CPU_FEATURES", "NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES", "MKL_DEBUG_CPU_TYPE")


def has_avx2() -> bool:
    """Whether this processor has AVX2; asked of the processor itself, which a file of the system may not show."""
    from llvmlite.binding import get_host_cpu_features  # part of numba, and no library that a pin is for

    return bool(get_host_cpu_features().get("avx2"))


def pinned(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment with the pins that this processor can bear, where it has none of its own.

    Parameters
    ----------
    environment : mapping of str
        Such as ``os.environ``, which is not changed.

    Returns
    -------
    dict of str

    Examples
    --------
    >>> pinned({"MKL_CBWR": "AVX2", "ERRREF_PINS": "off"})
    {'MKL_CBWR': 'AVX2', 'ERRREF_PINS': 'off'}
    """
    if environment.get(SWITCH) == "off" or platform.machine().lower() not in ("x86_64", "amd64"):
        return dict(environment)
    bearable = PINS if FORCED.keys() <= environment.keys() or has_avx2() else HARMLESS
    return {**bearable, **environment}


def departures(environment: Mapping[str, str]) -> list[str]:
    """What an environment has otherwise than the pins of this processor, each in a few words; empty if nothing.

    Examples
    --------
    >>> departures({**PINS, "OPENBLAS_CORETYPE": "Zen"})
    ["OPENBLAS_CORETYPE is 'Zen'"]
    """
    wanted = pinned({})
    own = [f"{name} is {environment[name]!r}" for name in RELATED if wanted and name in environment]
    other = [
        f"{name} is {environment[name]!r}" for name in wanted if environment.get(name, wanted[name]) != wanted[name]
    ]
    missing = [name for name in wanted if name not in environment]
    return [*other, *own, *([f"{', '.join(missing)} not set"] if missing else [])]


def cleared(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment without any variable of this kind.

    Examples
    --------
    >>> cleared({**PINS, "OPENBLAS_L2_SIZE": "1", "ERRREF_PINS": "off", "LANG": "C"})
    {'LANG': 'C'}
    """
    return {name: value for name, value in environment.items() if name not in (*PINS, *RELATED, SWITCH)}


def main() -> int:
    """Run the command that the arguments are, with the pins; its exit status."""
    command, environment = sys.argv[1:], dict(os.environ)
    if command and command[0] in ("--afresh", "--none"):
        off = {SWITCH: "off"} if command.pop(0) == "--none" else {}
        environment = {**cleared(environment), **off}
    if not command or command[0] in ("-h", "--help"):
        print(f"usage: python -m errref.pins COMMAND ARGUMENT ...\n\n{__doc__}")
        return 0 if command else 2
    environment = pinned(environment)
    try:
        if os.name == "nt":  # where a process cannot become another
            return subprocess.call(command, env=environment)
        os.execvpe(command[0], command, environment)
    except OSError as error:
        print(f"errref.pins: {command[0]} cannot be run: {error.strerror}.", file=sys.stderr)
        return 127


if __name__ == "__main__":
    sys.exit(main())
