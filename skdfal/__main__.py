"""``python -m skdfal``: the command ``skdfal``."""

import sys

from skdfal.cli import main

if __name__ == "__main__":
    sys.exit(main())
