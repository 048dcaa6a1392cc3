"""Accuracy of the network on held-out pictures, with a confidence interval."""

from skdfal.learner import wilson_interval


def accuracy(labels, predictions, names):
    """Return the accuracy of predictions, with Wilson's interval.

    Parameters
    ----------
    labels, predictions : dict of str to str
        Class by picture.
    names : iterable of str
        Pictures to count. Those without a label or a prediction are left out.

    Returns
    -------
    estimate : dict
        Number of pictures "n", number of correct predictions "right", "accuracy" (None
        if n is 0), and the bounds of the interval, "low" and "high".

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
