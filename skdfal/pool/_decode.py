"""Decode image files to pixels, in the same way for the person and for the network.

Nothing here depends on pools. Pillow is imported when the first image is read.
"""

import functools
import io

import numpy as np

SUFFIXES = frozenset(
    ".avif .bmp .gif .heic .heif .jfif .jp2 .jpe .jpeg .jpg .pbm .pgm .png .pnm .ppm "
    ".tif .tiff .webp".split()
)
_HEIF = (".heic", ".heif")
# Formats that are programs, such as EPS, are left out, whatever the suffix says.
_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "JPEG2000", "AVIF")
_GREY = frozenset(["1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N"])

_ORIENTATION = 0x0112  # the EXIF tag
# The transformation, in Pillow's Transpose, that turns each EXIF orientation upright.
_TURNS = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}

# Larger images are refused: four threads decode at once, with 4 bytes per pixel.
MAX_PIXELS = 2**26
_SMALL = 2**16  # images of at most this many pixels are served without loss
_JPEG_QUALITY = 92


class PictureError(ValueError):
    """Raised for an unreadable image; the message gives the reason, but no path."""


def decode(path, mode, max_side):
    """Return an image upright, in 8 bits, and on white where it is transparent.

    Parameters
    ----------
    path : path-like
        The file.
    mode : {"L", "RGB"}
        Grey or colour.
    max_side : int
        The longer side that is needed, in pixels. The result may be larger. A JPEG of
        several times that size is decoded at reduced resolution, which is faster.

    Returns
    -------
    picture : PIL.Image.Image
        The image, fully loaded.

    Raises
    ------
    PictureError
        If the file holds no image, a truncated one, or one that is too large.
    """
    try:
        return _decode(path, mode, max_side)
    except (PictureError, ImportError, MemoryError):
        raise
    except Exception as error:  # Pillow's decoders raise all kinds of errors
        raise PictureError(_reason(path, error)) from error


def _decode(path, mode, max_side):
    with _open(path) as picture:
        if picture.width * picture.height > MAX_PIXELS:
            raise PictureError(
                f"{picture.width} x {picture.height} pixels are too many to decode; "
                f"the limit is {MAX_PIXELS:,}. Scale it down."
            )
        picture.draft(None, (max_side, max_side))
        picture.load()
        upright = _upright(picture)
        if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
            upright = _in_8_bits(upright, is_16_bits=picture.format in ("PNG", "PPM"))
        return _on_white(upright).convert(mode)


def _upright(picture):
    """Return an image turned upright by its EXIF orientation, if that can be read.

    ``ImageOps.exif_transpose`` rewrites all other tags, and fails if one is odd.
    """
    try:
        orientation = picture.getexif().get(_ORIENTATION)
    except Exception:  # of any kind; the pixels themselves are there
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
    """Return the high byte of 16 bits; scale other ranges from darkest to lightest.

    Versions of Pillow differ in whether a 16-bit PNG has mode "I" or "I;16".
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
    """Whether a file holds a grey image, by its header; None if that is damaged."""
    try:
        with _open(path) as picture:
            return picture.mode in _GREY
    except ImportError:
        raise
    except Exception:  # Pillow's readers raise all kinds of errors
        return None


def letterboxed(picture, height, width):
    """Return an image scaled to fit, keeping its aspect ratio, centred on black."""
    from PIL import Image

    fitted = fit(picture, height, width)
    canvas = Image.new(picture.mode, (width, height))
    left, top = (width - fitted.width) // 2, (height - fitted.height) // 2
    canvas.paste(fitted, (left, top))
    return canvas


def fit(picture, height, width):
    """Return an image scaled to the largest size within a box, keeping its aspect."""
    from PIL import Image

    scale = min(height / picture.height, width / picture.width)
    size = [max(1, round(scale * side)) for side in picture.size]
    return picture.resize(size, Image.Resampling.BILINEAR)


def as_pixels(picture):
    """Return the pixels of an image as uint8, of shape (n_channels, height, width)."""
    pixels = np.asarray(picture)
    return pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, 2, 0)


def from_pixels(pixels):
    """Return the image with these pixels."""
    from PIL import Image

    grey_or_colour = pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, 2)
    return Image.fromarray(np.ascontiguousarray(grey_or_colour))


def encode(picture):
    """Return an image as bytes for a browser, with their content type."""
    out = io.BytesIO()
    if picture.width * picture.height <= _SMALL:
        picture.save(out, "PNG")
        return out.getvalue(), "image/png"
    picture.save(out, "JPEG", quality=_JPEG_QUALITY)
    return out.getvalue(), "image/jpeg"
