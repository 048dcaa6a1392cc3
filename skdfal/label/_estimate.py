"""How good the net is by now: accuracy on what was held out, with an interval."""

from skdfal.learner import wilson_interval


def accuracy(labels, predictions, names):
    """Return how often predictions are right, with an interval.

    Parameters
    ----------
    labels, predictions : dict of str to str
        Class by picture.
    names : iterable of str
        Which pictures to look at; those without a label or prediction do not count.

    Returns
    -------
    estimate : dict
        "n" pictures, "right" of them; "accuracy" (None of none), "low" and "high".

    Examples
    --------
    >>> from skdfal.label._estimate import accuracy
    >>> accuracy({"a": "cat"}, {"a": "cat", "b": "dog"}, ["a", "b"])["right"]
    1
    """
    known = [name for name in names if name in labels and name in predictions]
    right = sum(labels[name] == predictions[name] for name in known)
    low, high = wilson_interval(right, len(known))
    return {
        "n": len(known),
        "right": right,
        "accuracy": right / len(known) if known else None,
        "low": low,
        "high": high,
    }
