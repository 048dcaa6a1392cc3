"""From a picture's file to its pixels: one way, for the person and for the net.

Nothing here knows of pools. Pillow is imported when the first picture is read.
"""

import functools
import io

import numpy as np

SUFFIXES = frozenset(
    ".avif .bmp .gif .heic .heif .jfif .jp2 .jpe .jpeg .jpg .pbm .pgm .png .pnm .ppm "
    ".tif .tiff .webp".split()
)
_HEIF = (".heic", ".heif")
# No format that is a program, as EPS is, whatever the suffix says.
_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "JPEG2000", "AVIF")
_GREY = frozenset(["1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N"])

_ORIENTATION = 0x0112  # the tag of EXIF
# What brings a picture of each orientation upright, by the names of Pillow's Transpose.
_TURNS = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}

# A picture of more pixels is refused: four threads decode at once, in 4 bytes each.
MAX_PIXELS = 2**26
_SMALL = 2**16  # up to so many pixels a picture is served without loss
_JPEG_QUALITY = 92


class PictureError(ValueError):
    """A picture that cannot be read; the message says why, and names no path."""


def decode(path, mode, max_side):
    """Return a picture upright and in 8 bits, on white where it is transparent.

    Parameters
    ----------
    path : path-like
        The file.
    mode : {"L", "RGB"}
        Grey or colour.
    max_side : int
        The longer side that is needed, in pixels. The picture may be larger; a JPEG
        of several times that size is decoded at a fraction of it.

    Returns
    -------
    picture : PIL.Image.Image
        All of its pixels, really read.

    Raises
    ------
    PictureError
        If there is no picture in the file, or less than one, or too large a one.
    """
    try:
        return _decode(path, mode, max_side)
    except (PictureError, ImportError, MemoryError):
        raise
    except Exception as error:  # Pillow's decoders raise of every kind
        raise PictureError(_reason(path, error)) from error


def _decode(path, mode, max_side):
    with _open(path) as picture:
        if picture.width * picture.height > MAX_PIXELS:
            raise PictureError(
                f"{picture.width} x {picture.height} pixels are too many to decode; "
                f"at most {MAX_PIXELS:,} are. Scale it down."
            )
        picture.draft(None, (max_side, max_side))
        picture.load()
        upright = _upright(picture)
        if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
            upright = _in_8_bits(upright, is_16_bits=picture.format in ("PNG", "PPM"))
        return _on_white(upright).convert(mode)


def _upright(picture):
    """Return a picture turned as its camera says, if what that says can be read.

    ``ImageOps.exif_transpose`` writes all other tags anew, and fails at an odd one.
    """
    try:
        orientation = picture.getexif().get(_ORIENTATION)
    except Exception:  # Pillow raises of every kind, and the pixels are there
        return picture
    turn = _TURNS.get(orientation)
    return picture if turn is None else picture.transpose(turn)


def _open(path):
    from PIL import Image

    formats = _known_formats()
    if str(path).lower().endswith(_HEIF) and "HEIF" not in formats:
        raise PictureError("HEIC needs pillow-heif: python -m pip install pillow-heif.")
    return Image.open(path, formats=formats)


@functools.cache
def _known_formats():
    from PIL import Image

    Image.init()
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        wanted = _FORMATS
    else:
        register_heif_opener()
        wanted = (*_FORMATS, "HEIF")
    return [name for name in wanted if name in Image.OPEN]


def _reason(path, error):
    from PIL import Image, UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        try:
            is_empty = not path.stat().st_size
        except OSError:
            is_empty = False
        return "The file is empty." if is_empty else "No picture of a known format."
    if isinstance(error, Image.DecompressionBombError):
        return f"More than {MAX_PIXELS:,} pixels are too many to decode."
    return getattr(error, "strerror", None) or f"{error or type(error).__name__}"


def _in_8_bits(picture, *, is_16_bits):
    """Return the high byte of 16 bits; other ranges from the darkest to the lightest.

    Versions of Pillow differ in whether 16 bits of a PNG are "I" or "I;16".
    """
    from PIL import Image

    values = np.asarray(picture)
    if is_16_bits or values.dtype.itemsize == 2:
        return Image.fromarray((values >> 8).astype(np.uint8))
    values = np.nan_to_num(values.astype(np.float64), posinf=0, neginf=0)
    low, high = values.min(), values.max()
    return Image.fromarray(
        ((values - low) * (255 / ((high - low) or 1))).round().astype(np.uint8)
    )


def _on_white(picture):
    from PIL import Image

    if "A" not in picture.getbands() and "transparency" not in picture.info:
        return picture
    picture = picture.convert("RGBA")
    white = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(white, picture)


def is_grey(path):
    """Whether a file holds a grey picture, by its header; None if that is damaged."""
    try:
        with _open(path) as picture:
            return picture.mode in _GREY
    except ImportError:
        raise
    except Exception:  # Pillow's readers raise of every kind
        return None


def letterboxed(picture, height, width):
    """Return a picture scaled to fit, its aspect kept, in the centre of black."""
    from PIL import Image

    fitted = fit(picture, height, width)
    canvas = Image.new(picture.mode, (width, height))
    left, top = (width - fitted.width) // 2, (height - fitted.height) // 2
    canvas.paste(fitted, (left, top))
    return canvas


def fit(picture, height, width):
    """Return a picture scaled to the largest size within a box, its aspect kept."""
    from PIL import Image

    scale = min(height / picture.height, width / picture.width)
    size = [max(1, round(scale * side)) for side in picture.size]
    return picture.resize(size, Image.Resampling.BILINEAR)


def as_pixels(picture):
    """Return the pixels of a picture as uint8, of shape (n_channels, height, width)."""
    pixels = np.asarray(picture)
    return pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, 2, 0)


def from_pixels(pixels):
    """Return the picture of which these are the pixels."""
    from PIL import Image

    grey_or_colour = pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, 2)
    return Image.fromarray(np.ascontiguousarray(grey_or_colour))


def encode(picture):
    """Return a picture as bytes for a browser, and their content type."""
    out = io.BytesIO()
    if picture.width * picture.height <= _SMALL:
        picture.save(out, "PNG")
        return out.getvalue(), "image/png"
    picture.save(out, "JPEG", quality=_JPEG_QUALITY)
    return out.getvalue(), "image/jpeg"
