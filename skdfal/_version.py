"""The version, taken from the tag that was built."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("skdfal")
except PackageNotFoundError:  # a checkout that is on the path but not installed
    __version__ = "0+unknown"
