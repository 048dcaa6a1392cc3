"""The statuses with which the command ends."""

OK = 0
FAILED = 1
BAD_ARGUMENTS = 2
INTERRUPTED = 130
NO_READER = 141  # as a shell says of a process that SIGPIPE has ended
