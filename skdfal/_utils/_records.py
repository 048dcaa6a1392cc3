"""Tidy records, one row per round, and the numbers in tables and figures."""

import math
import statistics
from collections.abc import Mapping
from numbers import Real


def read_rows(records):
    """Yield the rows of a DataFrame or of an iterable of dicts."""
    if isinstance(records, (Mapping, str)) or not (
        hasattr(records, "to_dict") or hasattr(records, "__iter__")
    ):
        raise TypeError(
            "Expected an iterable of dicts, one per round, or a DataFrame, got "
            f"{type(records).__name__}."
        )
    if hasattr(records, "to_dict"):
        records = records.to_dict("records")
    for i, row in enumerate(records):
        if not isinstance(row, Mapping):
            raise TypeError(f"Row {i} should be a dict, got {type(row).__name__}.")
        yield row


def read_value(row, key, i):
    """Return the value of row ``i`` at ``key``, or raise if it is missing."""
    if key not in row:
        raise ValueError(f"Row {i} has no key {key!r}; it has {sorted(map(str, row))}.")
    value = row[key]
    if value is None or (isinstance(value, Real) and math.isnan(value)):
        hint = " Was there a held-out set to score on?" if key == "score" else ""
        raise ValueError(f"Row {i} has no value for {key!r}.{hint}")
    return value


def read_number(row, key, i):
    """Return the finite number of row ``i`` at ``key``, or raise."""
    value = read_value(row, key, i)
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"Row {i}: {key}={value!r} is not a number.") from None
    if not math.isfinite(number):
        raise ValueError(f"Row {i}: {key}={value!r} should be finite.")
    return number


def mean_and_std(values):
    """Return mean and standard deviation over trials, as in all tables and figures.

    Parameters
    ----------
    values : sequence of float
        At least one value.

    Returns
    -------
    mean : float
        The mean.
    std : float
        The standard deviation, with n - 1 in the denominator; NaN for a single value,
        or if a value is missing.
    """
    values = [float(value) for value in values]
    is_known = len(values) > 1 and all(map(math.isfinite, values))
    return statistics.fmean(values), statistics.stdev(values) if is_known else math.nan


def with_std(mean, std, form=".1f"):
    """Return a mean as text, with its standard deviation if known: "87.1 ± 1.2"."""
    text = _number(mean, form)
    if std is None or math.isnan(std):
        return text
    return f"{text} ± {std:{form.lstrip('+')}}"


def percent(share, std=None, form=".1f"):
    """Return a share in percent: "87.1", or "87.1 ± 1.2"."""
    return with_std(100 * share, None if std is None else 100 * std, form)


def in_points(difference, std=None):
    """Return a difference of shares in percentage points: "+1.2", or "+1.2 ± 0.4"."""
    return percent(difference, std, "+.1f")


def range_in_points(low, high):
    """Return an interval of differences in percentage points: "-0.2 to +1.4"."""
    return f"{in_points(low)} to {in_points(high)}"


def _number(value, form):
    """Return a number as text, without a sign if it rounds to zero."""
    text = f"{value:{form}}"
    return text.lstrip("+-") if float(text) == 0 else text
