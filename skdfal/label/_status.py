"""What the page shows of classes and trainings, from labels and rounds alone."""

from skdfal.label._estimate import accuracy

# Of the classes, in their order; u, s, d, x and o are for what else there is to do.
_KEYS = "1234567890abcefghijklmnpqrtvwyz"
_FEWEST_HELD_OUT = 5  # labels below which there is no learning curve


def classes_shown(classes, labels):
    """Return name, number of labels and key of each class.

    Parameters
    ----------
    classes : sequence of str
        Of the project.
    labels : dict of str to str
        Class by picture; one that is no class any more is shown, too.

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
    """Return how good the last net is on what no net was trained on.

    Parameters
    ----------
    classes : sequence of str
        Of the project.
    labels : dict of str to str
        Class by picture, of those that are not trained on.
    predictions : dict of str to tuple
        Of the net: class, probability and more, by picture.

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


def accuracy_in_words(quality):
    """Return the held-out accuracy as text, to stand after another sentence.

    Parameters
    ----------
    quality : dict
        What :func:`accuracy` returns.

    Returns
    -------
    text : str
        With Wilson's 95% interval; empty where no held-out picture has a label.

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
    """Return the accuracy of each round's net that was tried on enough pictures.

    Parameters
    ----------
    rounds : list of dict
        With "n_labels", and "held_out", what the net said of these pictures.
    labels : dict of str to str
        Class by picture, as of now, of those that are not trained on.

    Returns
    -------
    points : list of dict
        "labels", and what :func:`accuracy` returns.
    """
    points = (
        {"labels": row["n_labels"]} | accuracy(labels, row["held_out"], labels)
        for row in rounds
    )
    return [point for point in points if point["n"] >= _FEWEST_HELD_OUT]


def labels_in_words(n_labels, budget):
    """Return how many labels there are, and of how many.

    Parameters
    ----------
    n_labels : int
        Labels that there are.
    budget : int
        Labels that one has money for; 0 is none.

    Returns
    -------
    text : str
        Of one line.

    Examples
    --------
    >>> from skdfal.label._status import labels_in_words
    >>> labels_in_words(37, 0), labels_in_words(37, 500)
    ('37 labels', '37 of 500 labels')
    """
    return f"{n_labels} of {budget} labels" if budget else f"{n_labels} labels"


def stopping(rounds):
    """Return whether more labels would change little, and by what.

    Parameters
    ----------
    rounds : list of dict
        With "n_labels", "kappa", "margin" and "is_settled".

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
    """Return the key that stands for each class.

    Parameters
    ----------
    classes : iterable of str
        Their names.

    Returns
    -------
    keys : dict of str to str
        Names that are keys, as digits are, stand for themselves, if all are. Else 1 to
        9, 0 and letters, in the order of the classes; some have none if they are many.

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
    """Return how sure the net is of a label: below zero where it would give another.

    Parameters
    ----------
    picture : dict
        With "label" and "guess", which may be None.

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
