"""What the server answers, and whom it refuses."""

import errno
import json
from contextlib import closing

import pytest

from skdfal.label import Event, Store, _project
from tests.label.projects import (
    TOKEN,
    client_of,
    make_project,
    server,
    stranger_to,
    truth,
    write_pictures,
)
from tests.label.test_store import fill


@pytest.fixture
def stranger(project):
    with stranger_to(project) as client:
        client.project = project
        yield client


@pytest.fixture
def client(stranger):
    assert stranger.get(f"/?token={TOKEN}").status_code == 200
    return stranger


def event(client, number=1, **fields):
    picture = client.get("/api/queue?n=1").json()["pictures"][0]
    return {
        "id": f"e{number}",
        "picture": picture["picture"],
        "kind": "label",
        "label": truth(picture["name"]),
        "annotator": "Ada",
        "time": 1.0,
        "seconds": 0.5,
    } | fields


# Who may come in


def test_the_token_is_exchanged_for_a_strict_cookie(stranger):
    answer = stranger.get(f"/?token={TOKEN}", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"].lower()
    assert "samesite=strict" in cookie
    assert "httponly" in cookie
    assert TOKEN not in cookie
    page = stranger.get("/")
    assert "<title>" in page.text
    assert TOKEN not in page.text


PATHS = [
    *("/", "/static/page.js", "/api/status", "/api/queue", "/api/answers"),
    *("/picture/1", "/thumbnail/1", "/labels.csv", "/predictions.csv"),
]


@pytest.mark.parametrize("path", PATHS)
def test_without_a_token_there_is_nothing(stranger, path):
    assert stranger.get(path).status_code == 401
    assert stranger.get("/?token=wrong").status_code == 401


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8765", "127.0.0.1.nip"])
def test_a_foreign_host_is_refused(client, host):
    assert client.get("/api/status", headers={"Host": host}).status_code == 403
    answer = client.get(f"/?token={TOKEN}", headers={"Host": host})
    assert answer.status_code == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_other_sites_neither_read_nor_write(client, site):
    headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "cors"}
    row = event(client)
    assert client.post("/api/events", json=[row], headers=headers).status_code == 403
    assert client.get("/api/status", headers=headers).status_code == 403
    assert client.get("/picture/1", headers=headers).status_code == 403
    # A link to the page is what a link to any page is.
    headers["Sec-Fetch-Mode"] = "navigate"
    assert client.get("/", headers=headers).status_code == 200
    assert client.get("/api/status", headers=headers).status_code == 403


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "", "multipart/form-data"],
)
def test_writes_are_json_only(client, project, kind):
    answer = client.post("/api/events", content=b"[]", headers={"Content-Type": kind})
    assert answer.status_code == 415
    assert client.post("/api/train", content=b"").status_code == 415


@pytest.mark.parametrize(
    "path",
    [
        *("/picture/../../etc/passwd", "/picture/%2e%2e%2fpasswd", "/picture/a"),
        *("/picture/1.5", "/picture/-1", "/picture/99999", "/static/../_server.py"),
        *("/static/%2e%2e/_server.py", "/static/..%2f_server.py"),
    ],
)
def test_no_way_leads_out(client, path):
    answer = client.get(path)
    assert answer.status_code in (400, 404)
    assert "root:" not in answer.text
    assert "import" not in answer.text


def test_every_answer_says_what_the_page_may_load(client):
    for path in [*PATHS, "/nothing"]:
        policy = client.get(path).headers["content-security-policy"]
        assert policy.startswith("default-src 'self';")
        assert "unsafe" not in policy


def test_hosts():
    assert server.is_known_host("localhost:1", server.known_hosts("127.0.0.1"))
    assert server.is_known_host("[::1]:1", server.known_hosts("127.0.0.1"))
    assert not server.is_known_host("192.168.0.7", server.known_hosts("127.0.0.1"))
    assert server.is_known_host("192.168.0.7:8765", server.known_hosts("0.0.0.0"))
    assert not server.is_known_host("evil.example", server.known_hosts("0.0.0.0"))
    assert server.is_known_host("lab.example:80", server.known_hosts("lab.example"))
    assert not server.is_known_host(
        "127.0.0.1:80@evil.example", server.known_hosts("127.0.0.1")
    )
    assert not server.is_known_host("", server.known_hosts("127.0.0.1"))
    for port in ("65536", "9" * 5000, "²", ":80", "-1"):
        assert not server.is_known_host(f"localhost:{port}", {"localhost"})
    assert server.is_known_host("localhost:65535", {"localhost"})


def test_a_page_with_a_long_name_is_one_of_a_short_one(client, project):
    client.get(f"/api/queue?n=5&client={'x' * 5000}")
    assert max(map(len, project._handed._by_page)) == 100


@pytest.mark.parametrize("name", ["Zoë 👩‍💻", "名前", "x" * 200, ""])
def test_annotators_are_called_as_they_like(client, project, name):
    rows = [event(client, annotator=name)]
    assert client.post("/api/events", json=rows).status_code == 200
    assert project.store.events()[0].annotator == name


# Answers


def test_an_event_is_saved_before_yes_and_only_once(client, project):
    row = event(client)
    for _ in range(2):
        answer = client.post("/api/events", json=[row])
        assert answer.json() == {"saved": ["e1"]}
    (saved,) = project.store.events()
    assert (saved.id, saved.label, saved.annotator) == ("e1", row["label"], "Ada")
    assert client.get("/api/status").json()["counts"]["label"] == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"picture": 99999},
        {"picture": "1"},
        {"picture": [1]},
        {"picture": True},
        {"kind": "delete"},
        {"label": "bird"},
        {"label": None},
        {"kind": "skip"},  # with a label
        {"kind": "undo", "label": None},  # of nothing
        {"id": ""},
        {"id": 5},
        {"id": "x" * 300},
        {"id": "\ud800"},  # half a character, which no file takes
        {"annotator": None},
        {"annotator": "Ada\n=1+1"},  # a row of its own in labels.csv
        {"annotator": "\udfff"},
        {"kind": "undo", "label": None, "undoes": "x" * 300},
        {"kind": "undo", "label": None, "undoes": "\ud800"},
        {"time": "now"},
        {"time": 1e300},
        {"time": 5e11},  # after the year 9999
        {"time": -1e11},
        {"time": float("nan")},
        {"seconds": "1"},
        {"seconds": ""},
        {"seconds": []},
        {"seconds": {}},
        {"undoes": []},
        {"surprise": 1},
    ],
)
def test_what_cannot_have_happened_is_refused_whole(client, project, wrong):
    rows = [event(client, 1), event(client, 2, **wrong)]
    headers = {"Content-Type": "application/json"}
    content = json.dumps(rows)  # in ASCII, as any program may send it
    answer = client.post("/api/events", content=content, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert not project.store.events()


def test_an_answer_about_a_picture_that_has_gone_says_so(client, project, pictures):
    row = event(client)
    (pictures / project._names[row["picture"]]).unlink()
    project.pool.refresh()
    project._take_up_pictures()
    answer = client.post("/api/events", json=[row])
    assert answer.status_code == 400
    assert "is not in the folder any more" in answer.json()["error"]


@pytest.mark.parametrize("body", [b"", b"{", b"{}", b"5", b"[5]", b"[" * 100_000])
def test_what_is_no_list_of_events_is_refused(client, body):
    headers = {"Content-Type": "application/json"}
    answer = client.post("/api/events", content=body, headers=headers)
    assert answer.status_code == 400


def test_too_much_at_once_is_refused(client):
    headers = {"Content-Type": "application/json"}
    body = b"[" + b" " * 2_000_000 + b"]"
    answer = client.post("/api/events", content=body, headers=headers)
    assert answer.status_code == 400


def test_a_full_disk_is_507_and_nothing_is_counted(client, project):
    fill(project.store)
    rows = [event(client, i) | {"id": f"{i:0150}"} for i in range(99)]
    answer = client.post("/api/events", json=rows)
    assert answer.status_code == 507
    assert "cannot be written" in answer.json()["error"]
    assert client.get("/api/status").json()["counts"]["label"] == 0


def test_labels_that_cannot_be_written_are_507(client, project, monkeypatch):
    def full_disk(path, labels):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(_project, "write_labels", full_disk)
    answer = client.get("/labels.csv")
    assert answer.status_code == 507
    assert "No space" in answer.json()["error"]


def test_a_picture_that_broke_after_it_was_read_is_asked_for_no_more(client, project):
    project.pool.decode()
    first, second, *_ = client.get("/api/queue").json()["pictures"]
    (project.pool.folder / first["name"]).write_bytes(b"no picture")
    (project.pool.folder / second["name"]).unlink()
    for entry, status in ((first, 410), (second, 404)):
        assert client.get(f"/picture/{entry['picture']}").status_code == status
    names = {e["name"] for e in client.get("/api/queue?n=50").json()["pictures"]}
    assert len(names) == 38
    assert not names & {first["name"], second["name"]}
    assert client.get("/api/status").json()["broken"].keys() == {first["name"]}


def test_pictures_are_what_the_pool_has(client, project):
    entry = client.get("/api/queue?n=1").json()["pictures"][0]
    answer = client.get(f"/picture/{entry['picture']}")
    row = project.pool.names.index(entry["name"])
    assert (answer.content, answer.headers["content-type"]) == project.pool.image(row)


def test_a_picture_is_kept_as_long_as_it_is_the_same(client, project, tmp_path):
    entry = client.get("/api/queue?n=1").json()["pictures"][0]
    address = f"/picture/{entry['picture']}"
    first = client.get(address)
    assert first.headers["cache-control"] == "private, no-cache"
    known = {"If-None-Match": first.headers["etag"]}
    again = client.get(address, headers=known)
    assert (again.status_code, again.content) == (304, b"")
    # The same number of another project, on the same port an hour later.
    other = make_project(write_pictures(tmp_path / "other", size=8))
    with client_of(other) as client_of_other:
        answer = client_of_other.get(address, headers=known)
        assert (answer.status_code, answer.content != first.content) == (200, True)
    other.close()
    # Another picture of the same name.
    (project.pool.folder / entry["name"]).write_bytes(answer.content)
    project.pool.refresh()
    answer = client.get(address, headers=known)
    assert (answer.status_code, answer.content != first.content) == (200, True)


def test_two_people_get_different_pictures(client):
    ada, ben = (
        {
            p["name"]
            for p in client.get(f"/api/queue?n=5&client={who}").json()["pictures"]
        }
        for who in ("Ada", "Ben")
    )
    assert len(ada) == len(ben) == 5
    assert not ada & ben


def test_undoable_is_what_the_person_pressed(client):
    client.post("/api/events", json=[event(client, 1)])
    client.post("/api/events", json=[event(client, 2, annotator="Ben")])
    found = client.get("/api/queue?annotator=Ada&undoable=").json()["undoable"]
    assert [e["id"] for e in found] == ["e1"]


def test_disagreements_are_shown(client):
    first = event(client, 1, label="dark")
    client.post("/api/events", json=[first])
    client.post(
        "/api/events",
        json=[first | {"id": "e2", "annotator": "Ben", "label": "light"}],
    )
    (found,) = client.get("/api/answers?kind=disagreement").json()["pictures"]
    assert found["said"] == {"Ada": "dark", "Ben": "light"}


def test_the_same_cookie_and_the_same_pictures_after_a_restart(client, pictures):
    client.post("/api/events", json=[event(client)])
    before = client.get("/api/queue?n=9").json()
    client.project.close()
    project = make_project(pictures)
    with stranger_to(project) as again:
        again.cookies = client.cookies
        assert again.get("/api/queue?n=9").json() == before
        assert again.get("/api/status").json()["counts"]["label"] == 1
    project.close()


def test_a_training_begins_with_the_last_label_of_a_budget(pictures, monkeypatch):
    """And with no later one, whoever goes on."""
    project = make_project(pictures, budget=4, holdout=0.0)
    begun = []

    def begin(job):
        begun.append(job.labels)
        project._learning._trained_on = job.labels

    monkeypatch.setattr(project._learning, "begin", begin)
    for i, asked in enumerate(project.queue("Ada", 6)):
        row = {
            "picture": asked["picture"],
            "kind": "label",
            "label": truth(asked["name"]),
        }
        project.add([row | {"id": str(i), "annotator": "Ada", "time": 1.0}])
        assert len(begun) == (i >= 3)
    assert len(begun[0]) == 4
    status = project.status()
    assert (status["counts"]["label"], status["budget"]) == (6, 4)
    project.close()


def test_labels_that_pass_a_budget_at_once_are_trained_on(pictures, monkeypatch):
    """As those of an import, which the next start finds."""
    begun = []
    monkeypatch.setattr(
        "skdfal.label._learning.Learning.begin", lambda self, job: begun.append(job)
    )
    names = sorted(path.name for path in pictures.glob("*.png"))
    (pictures / "skdfal").mkdir()
    with closing(Store(pictures / "skdfal" / "labels.sqlite")) as store:
        store.add([Event(n, n, "label", truth(n)) for n in names[:6]])
    for n_known in (3, 4, 5):  # of the budget of 4 labels, or beyond
        with closing(Store(pictures / "skdfal" / "labels.sqlite")) as store:
            store.set("trained_on", {name: truth(name) for name in names[:n_known]})
        make_project(pictures, budget=4, holdout=0.0).close()
        assert len(begun) == 1


@pytest.mark.parametrize("n_rounds", [0, 1])
def test_a_project_that_is_opened_learns_a_single_correction(
    pictures, monkeypatch, n_rounds
):
    """An import has no page on which to start a training; the first one has to wait."""
    begun = []

    def begin(learning, job):
        begun.append(job.labels)
        return True

    monkeypatch.setattr("skdfal.label._learning.Learning.begin", begin)
    names = sorted(path.name for path in pictures.glob("*.png"))[:6]
    labels = {name: truth(name) for name in names}
    (pictures / "skdfal").mkdir()
    with closing(Store(pictures / "skdfal" / "labels.sqlite")) as store:
        store.add([Event(n, n, "label", labels[n]) for n in names])
        for _ in range(n_rounds):
            store.add_round({"n_labels": 6})
        store.set("trained_on", labels)
    make_project(pictures, holdout=0.0).close()
    assert not begun
    with closing(Store(pictures / "skdfal" / "labels.sqlite")) as store:
        store.set("trained_on", labels | {names[0]: "light"})
    assert truth(names[0]) == "dark"
    make_project(pictures, holdout=0.0).close()
    assert begun == n_rounds * [labels]
