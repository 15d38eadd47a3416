"""The command `errref` as a process of its own."""

import os
import sys

from errref.pins import pinned


def run() -> None:
    """Run the command and leave with its exit status.

    It computes with the pins of `errref.pins`, and so do the processes that it starts.
    After an interrupt, threads may still be training in PyTorch, and the process would abort when Python ends them.
    What was recorded is on the disk by then, so it leaves at once.
    """
    os.environ.update(pinned(os.environ))  # before anything loads a numeric library
    from errref.cli import main

    status = main()
    if status == 130:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


if __name__ == "__main__":
    run()
