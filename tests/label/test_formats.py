"""CSV and Label Studio, out and in again."""

import csv
import json
from xml.etree import ElementTree

import numpy as np
import pytest

from skdfal.label import Answers, Event
from skdfal.label._formats import (
    label_studio_config,
    label_studio_tasks,
    read_label_studio,
    read_labels,
    write_labels,
    write_predictions,
)

NAMES = [
    "a.png",
    "sub/# % space ü.png",
    'with, comma and "quotes".png',
    "semi;colon.png",
    " two\nlines\r .png",
]
CLASSES = ["cat", 'a "dog", or <two> & more', "ünicode; class"]
PROBA = np.array(
    [
        [0.5, 0.3, 0.2],
        [0.1, 0.2, 0.7],
        [0.0, 1.0, 0.0],
        [0.4, 0.35, 0.25],
        [0.45, 0.1, 0.45],
    ]
)


def facts(events):
    return [(e.picture, e.kind, e.label, e.annotator, e.time) for e in events]


@pytest.fixture
def events():
    return [
        Event(str(i), name, "label", CLASSES[i % 3], ["ä", "b"][i % 2], 1.7e9 + i)
        for i, name in enumerate(NAMES)
    ]


# labels.csv


def test_labels_come_back(tmp_path, events):
    write_labels(tmp_path / "labels.csv", events)
    assert facts(read_labels(tmp_path / "labels.csv")) == facts(events)


def test_excel_recognises_the_file(tmp_path, events):
    """A mark says UTF-8, lines end as on Windows, and times have an offset."""
    write_labels(tmp_path / "labels.csv", events)
    content = (tmp_path / "labels.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbffile,label,annotator,time\r\n")
    assert b"a.png,cat,\xc3\xa4,2023-11-14T22:13:20+00:00\r\n" in content


@pytest.mark.parametrize(
    "time",
    [
        "2023-11-14 22:13:20",  # as earlier versions wrote it, in UTC
        "2023-11-14T22:13:20+00:00",
        "2023-11-14T22:13:20Z",
        "2023-11-14T23:13:20+01:00",
    ],
)
def test_times_are_read_in_all_notations(tmp_path, time):
    (tmp_path / "labels.csv").write_text(f"file,label,time\na.png,cat,{time}\n")
    (event,) = read_labels(tmp_path / "labels.csv")
    assert event.time == 1.7e9


def test_a_time_that_is_not_known_stays_so(tmp_path):
    write_labels(tmp_path / "labels.csv", [Event("1", "a.png", "label", "cat")])
    assert "1970" not in (tmp_path / "labels.csv").read_text(encoding="utf-8-sig")
    (event,) = read_labels(tmp_path / "labels.csv")
    assert event.time == 0


@pytest.mark.parametrize("time", [5e11, -1e11, float("inf"), float("nan")])
def test_a_time_of_no_year_is_written_as_none(tmp_path, time):
    write_labels(tmp_path / "labels.csv", [Event("1", "a", "label", "cat", "", time)])
    (event,) = read_labels(tmp_path / "labels.csv")
    assert event.time == 0


@pytest.mark.parametrize("time", [-62135596800, -1.0, 1.0, 253402300799])
def test_times_of_all_years_come_back(tmp_path, time):
    write_labels(tmp_path / "labels.csv", [Event("1", "a", "label", "cat", "", time)])
    (event,) = read_labels(tmp_path / "labels.csv")
    assert event.time == time


@pytest.mark.parametrize(
    "name", ["=1+1", "+1", "-1", "@x", "'=1", "'Ada", "''-", "A=b"]
)
def test_no_name_of_an_annotator_is_a_formula_in_a_spreadsheet(tmp_path, name):
    write_labels(tmp_path / "labels.csv", [Event("1", "a", "label", "+", name)])
    with open(tmp_path / "labels.csv", encoding="utf-8-sig", newline="") as file:
        _, (_, label, cell, _) = csv.reader(file)
    assert cell[0] not in "=+-@"
    assert label == "+"  # the name of a class is the owner's own
    (event,) = read_labels(tmp_path / "labels.csv")
    assert event.annotator == name


def test_read_twice_is_one_event(tmp_path, events):
    write_labels(tmp_path / "labels.csv", events)
    answers = Answers()
    for event in 2 * read_labels(tmp_path / "labels.csv"):
        answers.add(event)
    assert len(answers.labels()) == len(NAMES)
    ids = {event.id for event in read_labels(tmp_path / "labels.csv")}
    assert len(ids) == len(NAMES)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("first", ["", "sep={}\n", "SEP={}\r\n"])
def test_csv_of_others(tmp_path, delimiter, encoding, first):
    rows = [
        ["id", "Image", "Category", "note, or none", "time"],
        ["1", "a.png", " cat ", "", " "],
        ["2", "b;,.png", "dog", "?", ""],
        [],
        [" "],
        ["3", "c.png", "", "no label", ""],
    ]
    with open(tmp_path / "x.csv", "w", encoding=encoding, newline="") as file:
        file.write(first.format(delimiter))
        csv.writer(file, delimiter=delimiter).writerows(rows)
    found = [(e.picture, e.label) for e in read_labels(tmp_path / "x.csv")]
    assert found == [("a.png", "cat"), ("b;,.png", "dog")]
    columns = {"file": "id", "label": "note, or none"}
    found = [(e.picture, e.label) for e in read_labels(tmp_path / "x.csv", columns)]
    assert found == [("2", "?"), ("3", "no label")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "begins without the names of its columns.* the line file,label"),
        ("\nfile,label\n1,2\n", "begins without the names of its columns"),
        ("a,b\n1,2\n", "no column 'file'; its first line has .'a', 'b'"),
        ("a.png,b\n", "put a line of names before it, such as file,label"),
        ("file\n1\n", "no column 'label'"),
        ("file,label\n1\n", "row 2: 1 of 2 cells"),
        ("sep=;\nfile;label\n1\n", "row 3: 1 of 2 cells"),
        ("sep=;\nfile,label\n1,2\n", "its first line has .'file,label'"),
        ("file,label,time\n1,cat,yesterday\n", "row 2: 'yesterday' should be a time"),
        ("file,label\nü,cat\n".encode("latin-1"), "not in UTF-8"),
        ("file,label\n".encode("utf-16"), "not in UTF-8"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, content, message):
    path = tmp_path / "labels.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=message):
        read_labels(path)


def test_a_quote_that_is_not_closed_is_looked_for_in_its_line(tmp_path):
    path = tmp_path / "labels.csv"
    rest = "cat\n" * 2**16
    for content, line in ((f'file,label\n1,cat\n2,"{rest}', 3), (f'"{rest}', 1)):
        path.write_text(content)
        told = rf"labels.csv, line {line}: .* larger than field limit .*not closed"
        with pytest.raises(ValueError, match=told):
            read_labels(path)


def test_a_column_that_was_named_must_be_there(tmp_path):
    (tmp_path / "x.csv").write_text("file,label\n1,2\n")
    with pytest.raises(ValueError, match=r"no column 'who'.*say which of them is the"):
        read_labels(tmp_path / "x.csv", {"annotator": "who"})


# predictions.csv


def test_predictions(tmp_path):
    write_predictions(tmp_path / "predictions.csv", NAMES, PROBA, CLASSES)
    with open(tmp_path / "predictions.csv", encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:4] == ["file", "label", "confidence", "margin"]
    assert [row["file"] for row in rows] == NAMES
    assert [row["label"] for row in rows] == [CLASSES[i] for i in (0, 2, 1, 0, 0)]
    assert [float(row["confidence"]) for row in rows] == [0.5, 0.7, 1, 0.4, 0.45]
    margins = [float(row["margin"]) for row in rows]
    assert margins == pytest.approx([0.2, 0.5, 1, 0.05, 0])
    proba = [[float(row[f"p_{name}"]) for name in CLASSES] for row in rows]
    np.testing.assert_allclose(proba, PROBA)


# Label Studio

SCHEMA = {  # of https://labelstud.io/guide/tasks and /guide/predictions, by hand
    "type": "array",
    "items": {
        "type": "object",
        "required": ["data", "predictions"],
        "properties": {
            "data": {
                "type": "object",
                "required": ["image"],
                "properties": {"image": {"type": "string", "format": "uri-reference"}},
            },
            "predictions": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["model_version", "score", "result"],
                    "additionalProperties": False,
                    "properties": {
                        "model_version": {"type": "string"},
                        "score": {"type": "number", "minimum": 0, "maximum": 1},
                        "result": {
                            "type": "array",
                            "items": {
                                "type": "object",
                                "required": ["from_name", "to_name", "type", "value"],
                                "properties": {
                                    "from_name": {"const": "label"},
                                    "to_name": {"const": "image"},
                                    "type": {"const": "choices"},
                                    "value": {
                                        "type": "object",
                                        "required": ["choices"],
                                        "properties": {
                                            "choices": {
                                                "type": "array",
                                                "minItems": 1,
                                                "maxItems": 1,
                                                "items": {"enum": CLASSES},
                                            }
                                        },
                                    },
                                },
                            },
                        },
                    },
                },
            },
        },
    },
}


@pytest.fixture
def tasks():
    return label_studio_tasks(NAMES, PROBA, CLASSES)


def test_tasks_are_valid_by_the_documented_schema(tasks):
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.validate(json.loads(json.dumps(tasks)), SCHEMA)


def test_tasks_are_valid_by_label_studio(tasks):
    interface = pytest.importorskip(
        "label_studio_sdk.label_interface", reason="label-studio-sdk is 500 MB"
    )
    label_interface = interface.LabelInterface(label_studio_config(CLASSES))
    label_interface.validate()
    for task in tasks:  # one by one: release 2.1.2 fails on a task with predictions
        assert label_interface.validate_task({"data": task["data"]})
        for prediction in task["predictions"]:
            assert not label_interface.validate_prediction(
                prediction, return_errors=True
            )


def test_interface_names_the_classes():
    root = ElementTree.fromstring(label_studio_config(CLASSES))
    assert [choice.get("value") for choice in root.iter("Choice")] == CLASSES
    (image,) = root.iter("Image")
    (choices,) = root.iter("Choices")
    assert choices.get("toName") == image.get("name") == "image"
    assert image.get("value") == "$image"


def test_tasks_come_in_rank_order(tasks):
    scores = [task["predictions"][0]["score"] for task in tasks]
    assert scores == sorted(scores)
    assert scores == pytest.approx([0, 0.05, 0.2, 0.5, 1])
    order = [4, 3, 0, 1, 2]
    assert [task["data"]["file"] for task in tasks] == [NAMES[i] for i in order]
    assert {task["predictions"][0]["model_version"] for task in tasks} == {"skdfal"}


def test_pictures_are_local_files_or_urls(tasks):
    addresses = {task["data"]["file"]: task["data"]["image"] for task in tasks}
    assert addresses[NAMES[1]] == (
        "/data/local-files/?d=sub/%23%20%25%20space%20%C3%BC.png"
    )
    (task,) = label_studio_tasks(
        NAMES[1:2], PROBA[1:2], CLASSES, prefix="https://example.org/p/"
    )
    assert task["data"]["image"] == (
        "https://example.org/p/sub/%23%20%25%20space%20%C3%BC.png"
    )


def annotation(label=None, **fields):
    value = {"choices": [label]}
    part = {"from_name": "c", "to_name": "i", "type": "choices", "value": value}
    return {
        "id": 1,
        "completed_by": 7,
        "was_cancelled": False,
        "created_at": "2026-01-31T12:00:00.250000Z",
        "result": [part] if label else [],
    } | fields


def export(path, tasks):
    path.write_text(json.dumps(tasks))
    return path


def test_round_trip(tmp_path, tasks):
    """Tasks go out; what a person chose there comes back under the same names."""
    answered = json.loads(json.dumps(tasks))
    for task in answered:
        (prediction,) = task["predictions"]
        task["annotations"] = [annotation(result=prediction["result"])]
        del task["predictions"]
    events = read_label_studio(export(tmp_path / "export.json", answered), NAMES)
    assert {e.picture: e.label for e in events} == {
        name: CLASSES[i] for name, i in zip(NAMES, PROBA.argmax(1), strict=True)
    }
    assert {(e.kind, e.annotator) for e in events} == {("label", "7")}
    assert events[0].time == pytest.approx(1769860800.25)


def test_skips_and_several_annotators(tmp_path):
    task = {
        "data": {"file": "a.png"},
        "annotations": [
            annotation("dog", completed_by={"id": 2, "email": "b@example.org"}),
            annotation("cat", created_at="2026-01-30T12:00:00Z"),
            annotation("cat", was_cancelled=True, completed_by={"id": 3}),
            annotation(completed_by=4, updated_at="2026-02-01T00:00:00+01:00"),
        ],
    }
    events = read_label_studio(export(tmp_path / "x.json", [task]), ["a.png"])
    assert [(e.annotator, e.kind, e.label) for e in events] == [
        ("7", "label", "cat"),
        ("b@example.org", "label", "dog"),
        ("3", "skip", None),
        ("4", "skip", None),
    ]
    assert len({e.id for e in events}) == 4


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"image": "/data/local-files/?d=root/sub/%23%20a.png"}, "sub/# a.png"),
        ({"image": "https://example.org/x/sub/%23%20a.png?token=1"}, "sub/# a.png"),
        ({"img": "s3://bucket/sub/b.png", "id": 3}, "sub/b.png"),
        ({"image": "/data/upload/3/0a1b2c3d-b.png"}, "b.png"),
        ({"image": "/data/upload/3/b.png"}, "b.png"),
        ({"image": "root/sub/# a.png"}, "sub/# a.png"),
        ({"file": "gone.png", "image": "x/b.png"}, "b.png"),
        ({"image": "unknown.png"}, "unknown.png"),
        ({"text": 3}, ""),
        ({"file": ["b.png"], "image": "x/b.png"}, "b.png"),
    ],
)
def test_tasks_of_others_are_known_by_the_end_of_their_address(
    tmp_path, data, expected
):
    files = ["sub/# a.png", "b.png", "sub/b.png", "a.png"]
    task = {"data": data, "annotations": [annotation("cat")]}
    (event,) = read_label_studio(export(tmp_path / "x.json", [task]), files)
    assert event.picture == expected


def test_two_labels_of_one_picture_are_refused(tmp_path):
    part = annotation("cat")["result"] + annotation("dog")["result"]
    task = {"data": {"file": "a"}, "annotations": [annotation(result=part)]}
    with pytest.raises(ValueError, match="task 0: expected one label, got"):
        read_label_studio(export(tmp_path / "x.json", [task]), ["a"])


@pytest.mark.parametrize(
    "wrong",
    [
        3,
        None,
        {"result": 5},
        {"result": [3]},
        {"result": [{"type": "choices", "value": None}]},
        {"result": [{"type": "choices", "value": {"choices": "cat"}}]},
        {"result": [{"type": "choices", "value": {"choices": [1]}}]},
        {"created_at": 5},
    ],
)
def test_what_is_no_annotation_is_said_with_its_file(tmp_path, wrong):
    task = {"data": {"file": "a"}, "annotations": [wrong]}
    with pytest.raises(ValueError, match=r"x\.json, task 0: .* should be an annot"):
        read_label_studio(export(tmp_path / "x.json", [task]), ["a"])


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[" * 100_000,
        "{}",
        "[1]",
        '[{"image": "a.png", "label": "cat"}]',
        "\xff",
    ],
)
def test_what_is_no_export_is_refused(tmp_path, content):
    (tmp_path / "x.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(ValueError, match=r"not valid JSON|as JSON, not as JSON-MIN"):
        read_label_studio(tmp_path / "x.json", [])
