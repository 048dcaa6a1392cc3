"""The command ``skdfal``: arguments in, one call, files out.

What parses arguments loads nothing but the standard library, so that help and errors
come at once; what does the work is loaded when there is work to do.
"""

from skdfal.cli._main import main as main
