"""Exit statuses of the command."""

OK = 0
FAILED = 1
BAD_ARGUMENTS = 2
INTERRUPTED = 130
NO_READER = 141  # as a shell reports a process ended by SIGPIPE
