"""The command `errref` as a process of its own."""

import os
import sys

from errref.pins import pinned

INTERRUPTED, UNREAD = 130, 141  # as a shell has it for SIGINT and SIGPIPE


def run() -> None:
    """Run the command and leave with its exit status.

    It computes with the pins of `errref.pins`, and so do the processes that it starts.
    After an interrupt, threads may still be training in PyTorch, and the process would abort when Python ends them.
    What was recorded is on the disk by then, so it leaves at once. It also does where its output can no longer be
    written, as after ``| head``: Python would write there once more, and complain.
    """
    os.environ.update(pinned(os.environ))  # before anything loads a numeric library
    from errref.cli import USAGE, main

    if sys.stdout:  # None where it is closed; what its encoding lacks comes as \u2265, as stderr has it
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        try:
            status = main()
        except SystemExit as end:  # of argparse: --help, or a usage that is none
            status = int(end.code or 0)
        if sys.stdout:
            sys.stdout.flush()
    except BrokenPipeError:
        os._exit(UNREAD)
    except OSError as error:
        print(f"errref: the output cannot be written ({error.strerror}).", file=sys.stderr, flush=True)
        os._exit(USAGE)
    if status == INTERRUPTED:
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


if __name__ == "__main__":
    run()
