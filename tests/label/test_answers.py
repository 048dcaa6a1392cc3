"""What follows from events."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skdfal.label import Answers, Event

PICTURES, ANNOTATORS, CLASSES = ["a", "b"], ["Ada", "Ben", "Cem"], ["cat", "dog"]


@st.composite
def histories(draw):
    """Events of some people, undos of their own earlier events among them."""
    events = []
    for number in range(draw(st.integers(0, 25))):
        who = draw(st.sampled_from(ANNOTATORS))
        own = [e for e in events if e.annotator == who and e.kind != "undo"]
        if own and draw(st.booleans()):
            undone = draw(st.sampled_from(own))
            events.append(
                Event(f"{number}", undone.picture, "undo", None, who, undoes=undone.id)
            )
            continue
        kind = draw(st.sampled_from(["label", "label", "skip", "dont_know", "exclude"]))
        label = draw(st.sampled_from(CLASSES)) if kind == "label" else None
        picture = draw(st.sampled_from(PICTURES))
        events.append(Event(f"{number}", picture, kind, label, who))
    return events


def last_words(events, picture):
    """By the book: drop what was undone, keep each person's last event."""
    undone = {e.undoes for e in events}
    last = {}
    for e in events:
        if e.picture == picture and e.kind != "undo" and e.id not in undone:
            last.pop(e.annotator, None)
            last[e.annotator] = e
    return last


@given(histories())
def test_each_persons_last_event_that_was_not_undone_is_the_answer(events):
    answers = Answers(events)
    for picture in PICTURES:
        last = last_words(events, picture)
        for who in ANNOTATORS:
            assert answers.of_annotator(picture, who) == last.get(who)


@given(histories())
def test_an_undo_that_comes_before_what_it_undoes_counts(events):
    undos_first = sorted(events, key=lambda e: e.kind != "undo")
    assert Answers(undos_first).labels() == Answers(events).labels()


@given(histories())
def test_most_votes_stand_and_of_equals_the_latest(events):
    answers = Answers(events)
    for picture in PICTURES:
        last = list(last_words(events, picture).values())
        decided = [e for e in last if e.kind in ("label", "exclude")]
        standing = answers.of(picture)
        if not decided:
            kinds = {e.kind for e in last}
            assert (standing.kind if standing else None) == (
                "dont_know" if "dont_know" in kinds else "skip" if kinds else None
            )
            continue
        votes = [(e.kind, e.label) for e in decided]
        n = votes.count((standing.kind, standing.label))
        assert n == max(map(votes.count, votes))
        later = [v for v in votes[decided.index(standing) + 1 :] if votes.count(v) == n]
        assert not later
        assert (picture in answers.disagreements()) == (len(set(votes)) > 1)


@given(histories(), st.randoms())
def test_an_event_that_arrives_again_changes_nothing(events, random):
    again = list(events)
    for event in events:
        at = random.randrange(again.index(event), len(again)) + 1
        again.insert(at, event)
    first, second = Answers(events), Answers(again)
    assert [first.of(p) for p in PICTURES] == [second.of(p) for p in PICTURES]


@given(histories())
def test_undoing_everything_leaves_nothing(events):
    undone = {e.undoes for e in events}
    back = [
        Event(f"back {e.id}", e.picture, "undo", None, e.annotator, undoes=e.id)
        for e in events
        if e.kind != "undo" and e.id not in undone
    ]
    answers = Answers([*events, *back])
    assert [answers.of(p) for p in PICTURES] == [None, None]
    assert not any(answers.last_of(who, 100) for who in ANNOTATORS)


def test_an_undo_brings_back_the_answer_before():
    answers = Answers([Event("1", "a", "label", "cat"), Event("2", "a", "skip")])
    assert answers.of("a").kind == "skip"
    answers.add(Event("3", "a", "undo", undoes="2"))
    assert answers.labels() == {"a": "cat"}


@pytest.mark.parametrize("kind", ["skip", "dont_know"])
def test_a_label_outweighs_who_does_not_know(kind):
    events = [
        Event("1", "a", "label", "cat", "Ada"),
        Event("2", "a", kind, None, "Ben"),
    ]
    assert Answers(events).labels() == {"a": "cat"}
    assert not Answers(events).disagreements()
