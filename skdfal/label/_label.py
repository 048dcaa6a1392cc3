"""The command ``skdfal label``: a folder in, a page, a trained net out."""

import errno
import os
import secrets
import signal
import socket
import sys
import threading
import webbrowser
from contextlib import closing
from functools import partial
from pathlib import Path

_PORT = 8765
_OF_ALL = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # of all addresses, one to open here
_MINUTE = 60.0  # seconds
_USUAL = {
    "net": "lenet5",
    "strategy": "dfal",
    "size": None,
    "n_instances": 10,
    "epochs": 50,
    "holdout": 0.1,
    "seed": 0,
    "budget": 0,
}
PROJECT = "skdfal"
STORE = "labels.sqlite"
_TOKEN = "token"
_CACHE = "cache"
_DEMO = Path("skdfal-demo")
_DEMO_CLASSES = tuple("0123456789")
_DEMO_SIZE = 24


def label(arguments):
    """Serve the page until Ctrl-C.

    Parameters
    ----------
    arguments : argparse.Namespace
        Arguments of the command.

    Raises
    ------
    ValueError
        If the arguments are wrong, or do not fit the pictures or the project.
    OSError
        If the project or the port is in use, or a file cannot be read or written.
    """
    _check_extra()
    from skdfal.label._store import Store

    if arguments.demo:
        _fill_in_demo(arguments)
    pictures = arguments.pictures
    if pictures is None or not pictures.is_dir():
        raise ValueError(
            f"{pictures} is not a folder. Name a folder of pictures, or use --demo."
            if pictures
            else "Name a folder of pictures, or use --demo."
        )
    folder = arguments.project or pictures / PROJECT
    if arguments.classes is None and not arguments.labels_from_folders:
        _check_classes(known_classes(folder / STORE))
    print(f"Looking for pictures in {pictures} ...", flush=True)
    if not (folder / STORE).exists():
        _check_new(arguments, pictures, folder)
    with closing(_listen(arguments.host, arguments.port)) as listening:
        make_folder(folder)
        token = settle_token(folder / _TOKEN)
        with (
            closing(Store(folder / STORE)) as store,
            closing(_open(arguments, pictures, folder, store)) as project,
        ):
            _serve(arguments, project, folder, listening, token)


def make_folder(folder):
    """Make the folder of a project if it is missing; raise if it is read-only."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        if exc.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
    if not os.access(folder, os.W_OK):
        raise PermissionError(
            f"{folder} cannot be written, so labels and network cannot be saved there. "
            "Name another folder: --project FOLDER."
        )


def _check_extra():
    try:
        import PIL  # noqa: F401
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as exc:
        raise ValueError(
            f"skdfal label needs {exc.name}; run: python -m pip install 'skdfal[label]'"
        ) from exc


def _fill_in_demo(arguments):
    from skdfal.label._demo import load_demo

    arguments.pictures = arguments.pictures or _DEMO
    arguments.classes = arguments.classes or _DEMO_CLASSES
    arguments.size = arguments.size or _DEMO_SIZE
    load_demo(arguments.pictures)


def _check_new(arguments, pictures, folder):
    """Raise if a new project could not begin, before anything of it is made."""
    from skdfal.label._nets import image_size_for, make_net, strategy_for
    from skdfal.pool import ImagePool, on_cluster

    net, strategy = (vars(arguments)[n] or _USUAL[n] for n in ("net", "strategy"))
    strategy_for(strategy)
    size = arguments.size or image_size_for(net)
    # Your own network may need to know the channels, for which headers are read.
    mode = None if ":" in net else "RGB"
    with ImagePool(pictures, image_size=1, mode=mode, exclude=folder) as pool:
        shape = (pool.sample_shape[0], size, size)
        classes = _classes_of(arguments, pool, ())
    make_net(
        net, len(classes), shape, strategy=strategy, device=arguments.device
    ).initialize()
    with on_cluster(arguments.dask):
        pass


def _classes_of(arguments, pool, known):
    """Return the classes by the arguments, the subfolders and the last run."""
    from skdfal.datasets._label_table import check_class_folders

    wanted = arguments.classes
    if arguments.labels_from_folders:
        folders = {*filter(None, pool.labels_from_folders())}
        if not folders:
            raise ValueError(
                f"--labels-from-folders: no picture in {pool.folder} lies in a "
                "subfolder. Put the pictures into one subfolder per class, or leave "
                "the option out."
            )
        if wanted is None:
            new = sorted(folders.difference(known))
            check_class_folders(pool.folder, new)
            _check_folders(new)
            wanted = [*known, *new]
    return agreed_classes(known, wanted)


def _open(arguments, pictures, folder, store):
    from skdfal.label._nets import image_size_for, make_net
    from skdfal.label._project import Project
    from skdfal.label._trainer import Recipe
    from skdfal.pool import on_cluster

    last_size = store.setting("learning", {}).get("size")
    learning = settle_learning(arguments, store)
    size = arguments.size or image_size_for(arguments.net)
    if arguments.size != last_size and ":" not in arguments.net:
        # Or raises here, before a cache of pictures of the former size is emptied.
        shape = (3, size, size)
        make_net(arguments.net, 2, shape, strategy=arguments.strategy).initialize()
    open_pool = partial(_open_pool, str(pictures), str(folder), size)
    pool = open_pool()
    classes = _classes_of(arguments, pool, store.setting("classes", []))
    recipe = Recipe(
        open_pool=open_pool,
        folder=str(folder),
        classes=classes,
        net=arguments.net,
        strategy=arguments.strategy,
        max_epochs=arguments.epochs,
        n_ranked=max(50, 5 * arguments.n_instances),
        seed=arguments.seed,
        dask=arguments.dask,
        device=arguments.device,
    )
    net = make_net(
        recipe.net,
        len(classes),
        pool.sample_shape,
        strategy=recipe.strategy,
        device=recipe.device,
    )
    net.initialize()  # or raises
    with on_cluster(recipe.dask):
        pass  # or raises
    project = Project(
        pool,
        store,
        recipe,
        n_instances=arguments.n_instances,
        holdout=arguments.holdout,
        budget=arguments.budget,
        say=partial(print, flush=True),
    )
    store.set("classes", classes)
    store.set("learning", learning)
    if arguments.labels_from_folders:
        project.add_labels_from_folders()
    return project


def settle_learning(arguments, store):
    """Fill in the training settings that are not given.

    Parameters
    ----------
    arguments : argparse.Namespace
        Arguments of the command. Those that are None get their values from the last
        run, or the defaults.
    store : Store
        The answers of the project.

    Returns
    -------
    learning : dict
        The settings to save for the next run.
    """
    last = _USUAL | store.setting("learning", {})
    said = {n: v for n, v in vars(arguments).items() if n in last and v is not None}
    as_before = {n: v for n, v in last.items() if n not in said and v != _USUAL[n]}
    if as_before:
        options = (f"--{n.replace('_', '-')} {v}" for n, v in as_before.items())
        print(f"As in the last run: {' '.join(options)}")
    vars(arguments).update(last | said)
    return last | said


def _check_folders(names):
    """Raise if a folder's name would not survive a CSV of labels."""
    for name in names:
        if name != name.strip():
            raise ValueError(
                f"The folder {name!r} cannot be a class: its name begins or ends with "
                "a space, which a CSV of labels would lose. Rename the folder."
            )


def known_classes(path):
    """Return the classes of a project by its file, none if there is no project yet."""
    from skdfal.label._store import Store

    if not path.exists():
        return []
    with closing(Store(path)) as store:
        return store.setting("classes", [])


def _check_classes(names):
    """Raise if nobody has named the classes yet."""
    if not names:
        raise ValueError(
            "Name the classes the first time: --classes cat,dog,other, or "
            "--labels-from-folders if there is one subfolder per class."
        )


def agreed_classes(known, wanted):
    """Return the classes of a project.

    Parameters
    ----------
    known : sequence of str
        Classes of the last run.
    wanted : sequence of str or None
        Classes named now. None of the former classes may be missing.

    Returns
    -------
    classes : tuple of str
        All classes.

    Raises
    ------
    ValueError
        If there are fewer than two, or a former one is missing.
    """
    classes = tuple(wanted or known)
    _check_classes(classes)
    missing = [name for name in known if name not in classes]
    if missing:
        raise ValueError(
            f"--classes lacks {', '.join(missing)}, which the project has already. "
            "Leave --classes out, or name all former classes and the new ones."
        )
    if len(classes) < 2:
        raise ValueError(
            f"There is only one class, {classes[0]!r}; at least two are needed. Name "
            "all classes: --classes A,B."
        )
    return classes


def _open_pool(pictures, folder, size):
    """Open the pictures; here and in the process that trains."""
    from skdfal.pool import ImagePool

    cache = os.path.join(folder, _CACHE)
    return ImagePool(pictures, cache=cache, exclude=folder, image_size=size)


def _listen(host, port):
    """Return a socket; without a port of choice, a free one where the usual is not."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for candidate in [_PORT, 0] if port is None else [port]:
        listening = socket.socket(family, socket.SOCK_STREAM)
        if os.name == "posix":  # elsewhere it would share the port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, candidate))
            listening.listen(128)
            return listening
        except OSError as exc:
            listening.close()
            reason = exc
    raise OSError(
        f"Cannot listen on {host}, port {candidate}: {reason.strerror}. Name another "
        "--port or --host, or leave them out."
    )


def _serve(arguments, project, folder, listening, token):
    import uvicorn

    from skdfal.label._server import known_hosts, make_app

    app = make_app(project, token, known_hosts(arguments.host))
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="off",
        ws="none",  # what comes in is HTTP, and passes the gate
    )
    ended = threading.Event()
    if not sys.stderr.isatty():
        told = (project, ended)
        threading.Thread(target=_say_each_minute, args=told, daemon=True).start()
    port = listening.getsockname()[1]
    name = _OF_ALL.get(arguments.host, arguments.host)
    name = f"[{name}]" if ":" in name else name
    address = f"http://{name}:{port}/?token={token}"
    _announce(arguments, project, address)
    if not arguments.no_browser:
        threading.Timer(0.3, webbrowser.open, [address]).start()
    # uvicorn ends in order, and then passes on the signal that ended it.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        uvicorn.Server(config).run(sockets=[listening])
    except KeyboardInterrupt:
        pass
    signal.signal(signal.SIGTERM, before)
    ended.set()
    project.files()
    print(f"\nAll labels are saved in {folder}. The same command continues.")


def _say_each_minute(project, ended):
    """Write how it stands for who reads it in a file, if there is anything new."""
    from skdfal.label._status import labels_in_words

    before = None
    while not ended.wait(_MINUTE):
        status = project.status()
        labels = labels_in_words(status["counts"]["label"], status["budget"])
        n_rounds = status["training"]["rounds"]
        now = f"{labels}, {n_rounds} training{'s' * (n_rounds != 1)}"
        if now != before:
            print(now, file=sys.stderr, flush=True)
        before = now


def _announce(arguments, project, address):
    from skdfal.label._status import labels_in_words

    n_pictures = project.pool.available.sum()
    print(f"{n_pictures} pictures in {arguments.pictures}")
    if project.budget:
        n_labels = project.status()["counts"]["label"]
        is_spent = " The budget is spent." if n_labels >= project.budget else ""
        print(f"{labels_in_words(n_labels, project.budget)}.{is_spent}")
    for name, reason in project.pool.broken.items():
        print(f"  skipped: {name}: {reason}", file=sys.stderr)
    if arguments.host not in ("127.0.0.1", "localhost", "::1"):
        print(
            f"--host {arguments.host}: everybody who can reach this machine at that "
            "address and has the token can see the pictures and change labels. The "
            "connection is not encrypted."
        )
    what = "Open this address to label"
    if not project.n_open():
        what = "Every picture has an answer. Open this address to review them"
    print(f"{what}; Ctrl-C stops:\n\n  {address}\n", flush=True)


def settle_token(path):
    """Return the token of a project, so that an open page goes on after a restart.

    Parameters
    ----------
    path : Path
        Of the file that only its owner may read.

    Returns
    -------
    token : str
        The same each time.
    """
    with_owner_only = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        with open(os.open(path, with_owner_only, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(24))
    except FileExistsError:
        pass
    token = path.read_text().strip()
    if len(token) < 16:  # a kill between the two lines above
        path.unlink()
        return settle_token(path)
    return token
