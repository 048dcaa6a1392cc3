"""What the page shows of classes and trainings, computed from labels and rounds."""

from skdfal.learner import wilson_interval

# Keys of the classes, in their order; u, s, d, x and o stand for other actions.
_KEYS = "1234567890abcefghijklmnpqrtvwyz"
_FEWEST_HELD_OUT = 5  # labels below which there is no learning curve


def classes_shown(classes, labels):
    """Return name, number of labels and key of each class.

    Parameters
    ----------
    classes : sequence of str
        Classes of the project.
    labels : dict of str to str
        Class by picture. Labels that are no longer classes are shown, too.

    Returns
    -------
    shown : list of dict
        "name", "count" and "key".
    """
    counts = dict.fromkeys(classes, 0)
    for label in labels.values():
        counts[label] = counts.get(label, 0) + 1
    keys = keys_of(counts)
    return [
        {"name": name, "count": n, "key": keys.get(name)} for name, n in counts.items()
    ]


def quality(classes, labels, predictions):
    """Return the accuracy of the last network on held-out pictures.

    Parameters
    ----------
    classes : sequence of str
        Classes of the project.
    labels : dict of str to str
        Class of each held-out picture that has a label.
    predictions : dict of str to tuple
        Predicted class, its probability and more, by picture.

    Returns
    -------
    quality : dict
        What :func:`accuracy` returns, and the same for each class in "classes".
    """
    predicted = {name: predictions[name][0] for name in labels if name in predictions}
    by_class = [
        {"name": one}
        | accuracy(labels, predicted, [n for n in labels if labels[n] == one])
        for one in classes
    ]
    return accuracy(labels, predicted, labels) | {"classes": by_class}


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
    >>> from skdfal.label._status import accuracy
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


def accuracy_in_words(quality):
    """Return the held-out accuracy as a sentence to append to another one.

    Parameters
    ----------
    quality : dict
        What :func:`accuracy` returns.

    Returns
    -------
    text : str
        Accuracy with Wilson's 95% interval; empty if no held-out picture has a label.

    Examples
    --------
    >>> from skdfal.label._status import accuracy_in_words
    >>> accuracy_in_words({"n": 12, "right": 11, "low": 0.646, "high": 0.985})
    ' Held-out accuracy: 11 of 12 (95% interval 65% to 98%, Wilson).'
    """
    if not quality["n"]:
        return ""
    low, high = quality["low"], quality["high"]
    return (
        f" Held-out accuracy: {quality['right']} of {quality['n']} "
        f"(95% interval {low:.0%} to {high:.0%}, Wilson)."
    )


def curve(rounds, labels):
    """Return the learning curve: the held-out accuracy of each round's network.

    Rounds with too few held-out labels are left out.

    Parameters
    ----------
    rounds : list of dict
        Rounds with "n_labels" and "held_out", the predictions for held-out pictures.
    labels : dict of str to str
        Current class of each held-out picture that has a label.

    Returns
    -------
    points : list of dict
        For each round "labels", and what :func:`accuracy` returns.
    """
    points = (
        {"labels": row["n_labels"]} | accuracy(labels, row["held_out"], labels)
        for row in rounds
    )
    return [point for point in points if point["n"] >= _FEWEST_HELD_OUT]


def labels_in_words(n_labels, budget):
    """Return the number of labels, and the budget if there is one, as text.

    Parameters
    ----------
    n_labels : int
        Number of labels.
    budget : int
        Number of labels that one can afford; 0 if there is no budget.

    Returns
    -------
    text : str
        Half a line.

    Examples
    --------
    >>> from skdfal.label._status import labels_in_words
    >>> labels_in_words(37, 0), labels_in_words(37, 500)
    ('37 labels', '37 of 500 labels')
    """
    noun = "label" if (budget or n_labels) == 1 else "labels"
    return f"{n_labels} of {budget} {noun}" if budget else f"{n_labels} {noun}"


def stopping(rounds):
    """Return whether more labels would change little, and the evidence for it.

    Parameters
    ----------
    rounds : list of dict
        Rounds with "n_labels", "kappa", "margin" and "is_settled".

    Returns
    -------
    stopping : dict
        "is_settled", and "rounds" with "labels", "kappa" and "margin".
    """
    rows = [
        {"labels": row["n_labels"], "kappa": row["kappa"], "margin": row["margin"]}
        for row in rounds
        if row["kappa"] is not None
    ]
    is_settled = bool(rounds) and rounds[-1]["is_settled"]
    return {"is_settled": is_settled, "rounds": rows}


def keys_of(classes):
    """Return the key of each class.

    Parameters
    ----------
    classes : iterable of str
        Names of the classes.

    Returns
    -------
    keys : dict of str to str
        Key by class. If all names are keys themselves, such as digits, each class has
        its own name. Otherwise 1 to 9, 0 and letters are assigned in the order of the
        classes; if there are very many classes, some have no key.

    Examples
    --------
    >>> from skdfal.label._status import keys_of
    >>> keys_of(["cat", "dog"])
    {'cat': '1', 'dog': '2'}
    """
    classes = list(classes)
    if all(len(name) == 1 and name in _KEYS for name in classes):
        return dict(zip(classes, classes, strict=True))
    return dict(zip(classes, _KEYS, strict=False))


def certainty(picture):
    """Return how sure the network is of a label; negative if it contradicts it.

    Parameters
    ----------
    picture : dict
        Its "label", and the network's "guess", which may be None.

    Returns
    -------
    certainty : float
        In [-1, 1].
    """
    guess = picture["guess"]
    if guess is None:
        return 1.0
    sign = 1 if guess["label"] == picture["label"] else -1
    return sign * guess["confidence"]
