"""Pictures of every odd kind, a cache that outlives kills, work that is not done."""

import io
import itertools
import os
import pickle
import shutil
import signal
import struct
import sys
import zlib
from threading import Event

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")

from PIL import ImageOps  # noqa: E402

from skdfal.pool import ImagePool, _decode, _images, as_pool  # noqa: E402
from tests.processes import run_in_another_process  # noqa: E402

RED, GREEN, BLUE, WHITE = (254, 0, 0), (0, 128, 0), (0, 0, 255), (255, 255, 255)


def quarters():
    """A picture of four colours, by which every turn and mirror shows."""
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[:8, :8], pixels[:8, 8:], pixels[8:, :8] = RED, GREEN, BLUE
    pixels[8:, 8:] = WHITE
    return Image.fromarray(pixels)


def turned_by_exif(path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    quarters().save(path, exif=exif)


def transparent(path):
    picture = quarters().convert("RGBA")
    alpha = np.full((16, 16), 255, np.uint8)
    alpha[:8, :8] = 0
    picture.putalpha(Image.fromarray(alpha))
    picture.save(path)


def transparent_palette(path):
    picture = quarters().quantize(8)
    picture.save(path, transparency=picture.getpixel((0, 0)))


def wide(path):
    wide = Image.new("RGB", (16, 8), RED)
    wide.save(path)


ORIGINAL = np.asarray(quarters())
ON_WHITE = ORIGINAL.copy()
ON_WHITE[:8, :8] = WHITE
BETWEEN_BLACK = np.zeros_like(ORIGINAL)
BETWEEN_BLACK[4:12] = RED

ODD = {
    "plain.png": (quarters().save, ORIGINAL, 0),
    "exif 6.png": (turned_by_exif, np.rot90(ORIGINAL, -1), 0),
    "rgba.png": (transparent, ON_WHITE, 0),
    "palette.png": (lambda path: quarters().quantize(8).save(path), ORIGINAL, 0),
    "clear palette.gif": (transparent_palette, ON_WHITE, 0),
    "cmyk.tif": (lambda path: quarters().convert("CMYK").save(path), ORIGINAL, 0),
    "cmyk.jpg": (
        lambda path: quarters().convert("CMYK").save(path, quality=100),
        ORIGINAL,
        12,
    ),
    "wide.png": (wide, BETWEEN_BLACK, 0),
    "# % space ü.PNG": (quarters().save, ORIGINAL, 0),
    'a "quoted", name\n.png': (quarters().save, ORIGINAL, 0),
    "sub/folder/deep.webp": (lambda p: quarters().save(p, lossless=True), ORIGINAL, 0),
}


def save(write, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    out = io.BytesIO()  # the suffix in capitals must not matter
    out.name = path.name.lower()
    write(out)
    path.write_bytes(out.getvalue())


@pytest.fixture
def odd(tmp_path):
    for name, (write, _, _) in ODD.items():
        save(write, tmp_path / "pictures" / name)
    return tmp_path / "pictures"


def shown(pool, i, **kwargs):
    content, content_type = pool.image(i, **kwargs)
    picture = Image.open(io.BytesIO(content))
    assert picture.get_format_mimetype() == content_type
    return np.asarray(picture)


@pytest.mark.parametrize("name", ODD)
def test_odd_pictures_are_what_they_look_like(odd, name):
    pool = ImagePool(odd, image_size=16)
    (sample,) = pool.take([pool.names.index(name)])
    _, expected, tolerance = ODD[name]
    assert sample.dtype == np.float32
    found = (np.moveaxis(sample, 0, 2) * 255).round().astype(int)
    assert abs(found - expected).max() <= tolerance
    assert pool.broken == {}


@pytest.mark.parametrize("name", ODD)
def test_the_person_sees_what_the_net_sees(odd, name):
    pool = ImagePool(odd, image_size=16)
    i = pool.names.index(name)
    sample = (np.moveaxis(pool.take([i])[0], 0, 2) * 255).round()
    np.testing.assert_array_equal(shown(pool, i, max_side=None), sample)
    # The finer picture is without the black borders, and nothing else is different.
    height, width = shown(pool, i).shape[:2]
    top, left = (16 - height) // 2, (16 - width) // 2
    inner = sample[top : top + height, left : left + width]
    np.testing.assert_array_equal(shown(pool, i), inner)


def test_a_photograph_is_shown_fine_and_seen_small(tmp_path):
    rng = np.random.default_rng(0)
    waves = rng.random((6, 8, 3)) * 255
    photo = Image.fromarray(waves.astype(np.uint8)).resize((1600, 1200))
    exif = Image.Exif()
    exif[0x0112] = 6
    photo.save(tmp_path / "photo.jpg", exif=exif, quality=95)
    pool = ImagePool(tmp_path, image_size=(64, 48))
    served = shown(pool, 0, max_side=800)
    assert served.shape == (800, 600, 3)
    small = np.asarray(Image.fromarray(served).resize((48, 64), Image.BILINEAR))
    sample = np.moveaxis(pool.take([0])[0], 0, 2) * 255
    assert abs(small - sample).mean() < 2


@pytest.mark.parametrize(("dtype", "suffix"), [(np.uint16, "png"), (np.uint16, "tif")])
def test_sixteen_bits_keep_their_higher_eight(tmp_path, dtype, suffix):
    ramp = np.arange(256, dtype=dtype).reshape(16, 16) * 257
    Image.fromarray(ramp).save(tmp_path / f"ramp.{suffix}")
    pool = ImagePool(tmp_path, image_size=16)
    assert pool.mode == "L"
    np.testing.assert_allclose(pool.take([0])[0, 0] * 257 * 255, ramp, rtol=1e-5)


def test_other_numbers_go_from_darkest_to_lightest(tmp_path):
    ramp = np.linspace(-3, 7, 256, dtype=np.float32).reshape(16, 16)
    Image.fromarray(ramp).save(tmp_path / "ramp.tif")
    sample = ImagePool(tmp_path, image_size=16).take([0])[0, 0]
    np.testing.assert_allclose(sample, (ramp + 3) / 10, atol=1 / 255)


def test_grey_where_all_are_grey(tmp_path):
    quarters().convert("L").save(tmp_path / "1.png")
    (tmp_path / "0.png").touch()
    assert ImagePool(tmp_path, cache=tmp_path / ".cache").mode == "L"
    quarters().save(tmp_path / "2.png")
    assert ImagePool(tmp_path).sample_shape == (3, 64, 64)
    # A pool that was grey stays so: its net takes one channel.
    assert ImagePool(tmp_path, cache=tmp_path / ".cache").mode == "L"


def bomb(path, side=9_000):
    """A PNG of ``side`` x ``side`` pixels in a hundred bytes or so."""
    out = io.BytesIO()
    Image.new("1", (8, 8)).save(out, "PNG")
    content = bytearray(out.getvalue())
    content[16:24] = side.to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    path.write_bytes(content)


def test_broken_files_are_named_with_a_reason(tmp_path):
    quarters().save(tmp_path / "good.png")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("not a picture")
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3)).astype(np.uint8)
    for suffix in ("jpg", "png"):
        Image.fromarray(noise).save(tmp_path / f"cut.{suffix}")
        content = (tmp_path / f"cut.{suffix}").read_bytes()
        (tmp_path / f"cut.{suffix}").write_bytes(content[: len(content) // 2])
    (tmp_path / "program.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%EOF\n")
    bomb(tmp_path / "bomb.png")
    bomb(tmp_path / "huge.png", 20_000)  # Pillow itself does not open it
    pool = ImagePool(tmp_path, image_size=16)
    pool.decode()
    good = pool.names.index("good.png")
    np.testing.assert_array_equal(np.flatnonzero(pool.available), [good])
    assert set(pool.broken) == set(pool.names) - {"good.png"}
    assert "empty" in pool.broken["empty.jpg"]
    assert "truncated" in pool.broken["cut.jpg"]
    assert "9000 x 9000 pixels are too many" in pool.broken["bomb.png"]
    assert "pixels are too many" in pool.broken["huge.png"]
    assert not any(str(tmp_path) in reason for reason in pool.broken.values())
    assert not pool.take([pool.names.index("cut.jpg")]).any()
    for side in (None, 100):
        with pytest.raises(ValueError, match="truncated"):
            pool.image(pool.names.index("cut.jpg"), side)


def test_heic_says_what_it_needs(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    _decode._known_formats.cache_clear()
    (tmp_path / "phone.HEIC").write_bytes(b"\0\0\0 ftypheic")
    pool = ImagePool(tmp_path)
    pool.decode()
    assert "pip install pillow-heif" in pool.broken["phone.HEIC"]
    _decode._known_formats.cache_clear()


def test_links_that_lead_out_are_refused(tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    quarters().save(pictures / "mine.png")
    quarters().save(tmp_path / "secret.png")
    (pictures / "link.png").symlink_to(tmp_path / "secret.png")
    (pictures / "inside.png").symlink_to(pictures / "mine.png")
    (pictures / "folder").symlink_to(tmp_path, target_is_directory=True)
    (pictures / "within").symlink_to(pictures, target_is_directory=True)
    (pictures / "dangling.png").symlink_to(pictures / "nothing.png")
    pool = ImagePool(pictures)
    assert pool.names == ["inside.png", "mine.png"]
    assert "leads out" in pool.broken["link.png"]
    assert "leads out" in pool.broken["folder"]
    assert "within" not in pool.broken
    assert "regular" in pool.broken["dangling.png"]
    # One that is laid after the listing is not followed either.
    (pictures / "mine.png").unlink()
    (pictures / "mine.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(ValueError, match="leads out"):
        pool.image(1)
    assert not pool.take([1]).any()


@pytest.mark.skipif(os.name != "posix", reason="names of bytes and pipes are POSIX's")
def test_what_is_no_file_with_a_name_is_not_opened(tmp_path):
    quarters().save(tmp_path / "good.png")
    os.mkfifo(tmp_path / "pipe.png")
    bad = os.fsencode(tmp_path) + b"/\xff.png"
    with open(bad, "wb") as file:
        quarters().save(file, "PNG")
    os.mkdir(os.fsencode(tmp_path) + b"/\xff")
    shutil.copy(tmp_path / "good.png", os.fsencode(tmp_path) + b"/\xff/in.png")
    pool = ImagePool(tmp_path)
    assert pool.names == ["good.png"]
    assert sorted(pool.broken) == ["?.png", "?/in.png", "pipe.png"]


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("image_size", [(1, 5), (5, 1), 1])
def test_one_pixel_high_or_wide(tmp_path, image_size, mode):
    quarters().save(tmp_path / "a.png")
    pool = ImagePool(tmp_path, image_size=image_size, mode=mode)
    sample = (pool.take([0])[0] * 255).round()
    sample = sample[0] if mode == "L" else np.moveaxis(sample, 0, 2)
    np.testing.assert_array_equal(shown(pool, 0, max_side=None), sample)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_damaged_exif_leaves_the_picture_as_it_lies(tmp_path, suffix):
    Image.new("L", (20, 10), 200).save(tmp_path / f"a.{suffix}", exif=b"no exif")
    with ImagePool(tmp_path, image_size=20) as pool:
        pool.decode()
        assert pool.broken == {}
        assert pool.take([0])[0, 0, 10].min() > 0.7  # lying: all of its middle row


@pytest.mark.parametrize("orientation", range(10))
def test_an_odd_tag_beside_the_orientation_is_no_damage(tmp_path, orientation):
    """Pillow's own way to turn a picture writes all tags anew, and fails at this."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    quarters().save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as picture:
        expected = np.asarray(ImageOps.exif_transpose(picture))
    directory = struct.pack("<2sHIH", b"II", 42, 8, 2)
    directory += struct.pack("<HHI4s", 0x0100, 1, 4, b"odd!")  # bytes for a number
    directory += struct.pack("<HHIHHI", 0x0112, 3, 1, orientation, 0, 0)
    quarters().save(tmp_path / "b.png", exif=b"Exif\0\0" + directory)
    with ImagePool(tmp_path, image_size=16) as pool:
        assert pool.broken == {}
        np.testing.assert_array_equal(shown(pool, 0), expected)
        np.testing.assert_array_equal(shown(pool, 1), expected)


def test_a_full_disk_is_an_oserror_and_is_over_when_there_is_room(tmp_path):
    quarters().save(tmp_path / "a.png")
    with ImagePool(tmp_path, image_size=8) as pool:
        database = pool._cache._db
        (n_pages,) = database.execute("PRAGMA page_count").fetchone()
        database.execute(f"PRAGMA max_page_count = {n_pages}")
        for i in range(200):
            shutil.copy(tmp_path / "a.png", tmp_path / f"{i:0200}.png")
        with pytest.raises(OSError, match="full"):
            pool.refresh()
        database.execute("PRAGMA max_page_count = 1000000")
        assert len(pool.refresh()) == 200


def test_hidden_and_excluded_folders_are_left_out(tmp_path):
    for name in ("a.png", ".b.png", ".c/d.png", "e/f.png", "g/h.png", "notes.txt"):
        save(quarters().save, tmp_path / name.replace("txt", "png"))
        (tmp_path / name).parent.mkdir(exist_ok=True)
    pool = ImagePool(tmp_path, exclude=tmp_path / "g", cache=tmp_path / "h")
    assert pool.names == ["a.png", "e/f.png", "notes.png"]
    assert pool.labels_from_folders() == [None, "e", None]


def test_new_pictures_join_at_the_end_and_vanished_ones_keep_their_index(tmp_path):
    for name in ("m.png", "n.png"):
        quarters().save(tmp_path / name)
    pool = ImagePool(tmp_path, image_size=16, cache=tmp_path / ".cache")
    before = pool.take([0, 1])
    digest = pool.digest()
    assert not pool.refresh().size
    assert pool.digest() == digest
    (tmp_path / "m.png").unlink()
    for name in ("z.png", "a.png"):
        Image.new("RGB", (16, 16), RED).save(tmp_path / name)
    np.testing.assert_array_equal(pool.refresh(), [2, 3])
    assert pool.names == ["m.png", "n.png", "a.png", "z.png"]
    np.testing.assert_array_equal(pool.available, [False, True, True, True])
    assert pool.digest() != digest
    np.testing.assert_array_equal(pool.take([0, 1]), before)
    assert (pool.take([3])[0, 0] * 255).round().max() == 254
    # The next pool has the same indices; what comes back is there again.
    quarters().save(tmp_path / "m.png")
    again = ImagePool(tmp_path, image_size=16, cache=tmp_path / ".cache")
    assert again.names == pool.names
    assert again.available.all()


def test_a_folder_that_was_emptied_keeps_its_indices(tmp_path):
    quarters().save(tmp_path / "a.png")
    ImagePool(tmp_path, image_size=16, cache=tmp_path / ".cache").decode()
    (tmp_path / "a.png").unlink()
    pool = ImagePool(tmp_path, image_size=16, cache=tmp_path / ".cache")
    assert not pool.available.any()
    assert pool.take([0]).any()  # what was labelled can still be trained on


def test_a_file_that_was_mended_is_read_again(tmp_path):
    path = tmp_path / "a.png"
    path.touch()
    pool = ImagePool(tmp_path, mode="RGB", image_size=16)
    pool.decode()
    assert "a.png" in pool.broken
    quarters().save(path)
    pool.refresh()
    assert pool.take([0]).any()
    assert pool.available.all()
    path.unlink()
    pool.refresh()
    assert not pool.available.any()
    assert pool.broken == {}


def test_a_picture_that_vanishes_unnoticed_is_black_until_it_is_back(tmp_path):
    quarters().save(tmp_path / "a.png")
    pool = ImagePool(tmp_path)
    (tmp_path / "a.png").rename(tmp_path / "b.txt")
    assert not pool.take([0]).any()
    (tmp_path / "b.txt").rename(tmp_path / "a.png")
    pool.refresh()
    assert pool.take([0]).any()


@pytest.fixture
def decoded(monkeypatch):
    """The files that were decoded, one entry each time."""
    names = []

    def counting(path, *args):
        names.append(path.name)
        return _decode.decode(path, *args)

    monkeypatch.setattr(_images, "decode", counting)
    return names


def test_a_picture_is_decoded_once(odd, tmp_path, decoded):
    def pool(**kwargs):
        return ImagePool(odd, cache=tmp_path / "cache", **({"image_size": 16} | kwargs))

    first = pool()
    everything = np.arange(len(first))
    X = first.take(everything)
    np.testing.assert_array_equal(first.take(everything), X)
    np.testing.assert_array_equal(pool().take(everything), X)
    assert len(decoded) == len(ODD)
    # Another size is another picture.
    pool(image_size=20).take([0])
    assert len(decoded) == len(ODD) + 1


def test_what_is_forgotten_is_decoded_again(odd, tmp_path, decoded):
    (odd / "broken.png").touch()
    pool = ImagePool(odd, image_size=16)
    X, n = pool.take(range(len(pool))), len(pool)
    before = pool.names, pool.available.tolist(), pool.broken
    n_decoded = len(decoded)
    pool.forget()
    assert (pool.cache / "pixels.npy").stat().st_blocks * 512 < X[0].size * n
    assert (pool.names, pool.available.tolist(), pool.broken) == before
    np.testing.assert_array_equal(pool.take(range(n)), X)
    assert len(decoded) == 2 * n_decoded - 1  # but for the broken one


def test_two_pools_on_one_cache_share_the_work(odd, tmp_path, decoded):
    one, other = (ImagePool(odd, image_size=16, cache=tmp_path / "c") for _ in "ab")
    one.decode([1, 3])
    save(quarters().save, odd / "0 new.png")
    assert one.refresh() == other.refresh()
    other.decode()
    np.testing.assert_array_equal(one[:], other[:])
    assert len(decoded) == len(set(decoded)) == len(one)


def test_two_pools_of_two_sizes_do_not_mix_their_pixels(odd, tmp_path):
    one = ImagePool(odd, image_size=16, cache=tmp_path / "c")
    ImagePool(odd, image_size=20, cache=tmp_path / "c")
    with pytest.raises(OSError, match="its own cache"):
        one.take([0])


def test_a_pool_that_lost_its_cache_does_not_make_room_in_the_pixels_of_another(
    odd, tmp_path
):
    one = ImagePool(odd, image_size=16, cache=tmp_path / "c")
    other = ImagePool(odd, image_size=20, cache=tmp_path / "c")
    X = other[:]
    save(quarters().save, odd / "0 new.png")
    with pytest.raises(OSError, match="its own cache"):
        one.refresh()
    other.refresh()
    np.testing.assert_array_equal(other[: len(X)], X)


def test_it_is_read_in_the_background_until_closed(odd, decoded):
    with ImagePool(odd, image_size=16) as pool:
        pool.decode_in_background()
        pool._background.join(60)
        assert sorted(decoded) == sorted(name.split("/")[-1] for name in ODD)
        pool.decode_in_background()
    assert not pool._background.is_alive()
    assert len(decoded) == len(ODD)


def test_closing_waits_for_the_picture_at_hand_alone(odd, monkeypatch):
    pool, begun, go_on = ImagePool(odd, image_size=16), Event(), Event()
    names = []

    def slowly(path, *args):
        names.append(path.name)
        begun.set()
        go_on.wait(60)
        return _decode.decode(path, *args)

    monkeypatch.setattr(_images, "decode", slowly)
    pool.decode_in_background()
    assert begun.wait(60)
    pool._ending.set()  # as close does, before it waits
    go_on.set()
    pool.close()
    assert len(names) == 1


def small_pictures(folder, n):
    folder.mkdir()
    out = io.BytesIO()
    Image.new("L", (8, 8), 128).save(out, "PNG")
    for i in range(n):
        (folder / f"{i:05}.png").write_bytes(out.getvalue())
    return folder


def test_ten_thousand_pictures_start_without_a_single_decoding(tmp_path, decoded):
    folder = small_pictures(tmp_path / "pictures", 10_000)
    pool = ImagePool(folder, image_size=8)
    assert len(pool) == 10_000
    assert decoded == []
    assert pool.view(np.arange(5000)).take([7]).shape == (1, 1, 8, 8)
    pool.image(9_999)
    assert decoded == ["00007.png", "09999.png"]


def test_a_coloured_picture_ends_the_look_at_headers(tmp_path, monkeypatch):
    for i in range(20):
        quarters().save(tmp_path / f"{i:02}.png")
    asked = []
    monkeypatch.setattr(_images, "is_grey", lambda path: asked.append(path) or False)
    assert ImagePool(tmp_path).mode == "RGB"
    assert len(asked) == 1


def killing(function, n):
    """Return the function, of which the n-th call ends the process."""
    calls = itertools.count(1)

    def counting(*args, **kwargs):
        if next(calls) == n:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)

    return counting


def killed_at(module, name, n, folder, cache):
    """Decode all in a process that is killed at the n-th call of a function."""
    child = os.fork()
    if not child:
        setattr(module, name, killing(getattr(module, name), n))
        _images._CHUNK = 10
        ImagePool(folder, image_size=8, cache=cache).decode()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_the_cache_outlives_kills(tmp_path, decoded):
    folder, cache = tmp_path / "pictures", tmp_path / "cache"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(60):
        picture = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        picture.save(folder / f"{i:03}.png")
    truth = ImagePool(folder, image_size=8)[:]
    decoded.clear()
    for module, name, n in [
        (np, "load", 1),  # before there are pixels
        (np, "load", 2),  # once their file is made
        (_images, "decode", 1),
        (os, "fsync", 1),  # once the first pixels are written
        (_images, "decode", 15),
        (os, "fsync", 2),
        (_images, "decode", 5),
    ]:
        assert killed_at(module, name, n, folder, cache)
    pool = ImagePool(folder, image_size=8, cache=cache)
    np.testing.assert_array_equal(pool[:], truth)
    # Two chunks were complete before a kill, and are not decoded again.
    assert len(decoded) == 40


def test_pixels_that_were_cut_short_are_made_again(odd, tmp_path):
    cache = tmp_path / "cache"
    X = ImagePool(odd, image_size=16, cache=cache)[:]
    pixels = cache / "pixels.npy"
    for damage in (pixels.read_bytes()[:1000], b"", b"\0" * pixels.stat().st_size):
        pixels.write_bytes(damage)
        pool = ImagePool(odd, image_size=16, cache=cache)
        np.testing.assert_array_equal(pool[:], X)


def test_a_damaged_cache_says_what_to_do(odd, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "pictures.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(ValueError, match="Delete that folder"):
        ImagePool(odd, cache=tmp_path / "cache")


def test_a_cache_that_was_damaged_inside_or_cannot_be_made_says_so(tmp_path):
    folder, cache = small_pictures(tmp_path / "pictures", 200), tmp_path / "cache"
    ImagePool(folder, image_size=8, cache=cache).close()
    index = cache / "pictures.sqlite"
    content = index.read_bytes()
    index.write_bytes(content[:4096] + bytes(len(content) - 4096))
    with pytest.raises(ValueError, match="Delete that folder"):
        ImagePool(folder, cache=cache)
    index.unlink()
    index.mkdir()
    with pytest.raises(OSError, match=r"cannot be written.* name another folder"):
        ImagePool(folder, cache=cache)


def test_the_cache_is_an_array_that_grew(tmp_path):
    quarters().save(tmp_path / "0.png")
    pool = ImagePool(tmp_path, image_size=16, cache=tmp_path / ".cache")
    first = pool.take([0])
    for i in range(1, 200):
        quarters().rotate(90 * i).save(tmp_path / f"{i}.png")
    pool.refresh()
    X = pool[:]
    np.testing.assert_array_equal(X[:1], first)
    pixels = np.load(tmp_path / ".cache" / "pixels.npy")
    np.testing.assert_array_equal(pixels / np.float32(255), X)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_pool_of_other_indices_is_not_taken_for_the_same(tmp_path):
    """Where the cache, which keeps the indices, is not seen, the folder decides."""
    pictures, cache = tmp_path / "pictures", tmp_path / "cache"
    pictures.mkdir()
    for name in ("b.png", "c.png"):
        quarters().save(pictures / name)
    with ImagePool(pictures, image_size=16, cache=cache) as pool:
        recipe = pickle.dumps(pool)
    shutil.rmtree(cache)
    with pickle.loads(recipe) as again:
        assert again.names == ["b.png", "c.png"]
    quarters().save(pictures / "a.png")
    with pytest.raises(ValueError, match="have different indices"):
        pickle.loads(recipe)


def test_memory_is_bounded(tmp_path):
    """Pictures of 240 MB, decoded in less than half of that."""
    for i in range(80):
        Image.new("RGB", (1000, 1000), (i, i, i)).save(
            tmp_path / f"{i}.png", compress_level=1
        )
    assert run_in_another_process(growth_in_memory, tmp_path) < 120_000  # KiB


def growth_in_memory(folder):
    """How much more memory it takes to decode all pictures than the first."""
    import resource

    pool = ImagePool(folder, image_size=16)
    pool.decode([0])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pool.decode()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before


def test_parameters(tmp_path):
    for mode in (None, "RGB"):
        with pytest.raises(ValueError, match="no image in"):
            ImagePool(tmp_path, mode=mode)
    with pytest.raises(NotADirectoryError, match="not a folder of images"):
        ImagePool(tmp_path / "nothing")
    quarters().save(tmp_path / "a.png")
    for size in (0, 2.5, (3,), (3, 0), "64"):
        with pytest.raises(ValueError, match="image_size"):
            ImagePool(tmp_path, image_size=size)
    with pytest.raises(ValueError, match="mode"):
        ImagePool(tmp_path, mode="RGBA")
    pool = ImagePool(tmp_path)
    for i in (1, -2):
        with pytest.raises(IndexError):
            pool.image(i)
    assert as_pool(pool) is pool
    assert pool.take([]).shape == (0, 3, 64, 64)


def test_without_pillow_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r"skdfal\[label\]"):
        ImagePool(tmp_path)
