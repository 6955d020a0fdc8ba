#!/usr/bin/python3
"""Draws small pictures in many formats, and what Pillow makes of them for a network: the fixtures of
pillow.test.ts in tests/node and tests/browser.

Needs Pillow (Debian: python3-pil). usage: tests/images/make.py (writes into tests/images/fixtures)

Sizes and offsets are those of torchvision: Resize brings the shorter side to `resize` pixels, the longer one to
int(resize * long / short); CenterCrop begins at int(round((size - crop) / 2)). With a `resize` of 0 the picture is brought straight
to the crop's size. A letterbox is ImageOps.pad; its bars are in the network's order of channels, like all that has three numbers.
"""

import json
import pathlib
import shutil
import struct
import zlib

from PIL import Image, ImageDraw, ImageOps

FOLDER = pathlib.Path(__file__).parent / "fixtures"
EXIF_ORIENTATION = 0x0112


def draw(width, height, mode="RGB"):
    """Slopes, edges and thin lines, different in every corner."""
    picture = Image.new("RGB", (width, height))
    for y in range(height):
        for x in range(width):
            picture.putpixel((x, y), (x * 255 // width, y * 255 // height, (x * 37 + y * 91) % 256))
    pen = ImageDraw.Draw(picture)
    pen.rectangle((0, 0, width // 3, height // 4), fill=(250, 240, 10))
    pen.ellipse((width // 2, height // 2, width - 2, height - 2), fill=(20, 30, 220))
    pen.line((0, height - 1, width - 1, 0), fill=(255, 255, 255))
    return picture if mode == "RGB" else picture.convert(mode)


def translucent(width, height):
    picture = draw(width, height)
    alpha = Image.new("L", (width, height))
    for y in range(height):
        for x in range(width):
            alpha.putpixel((x, y), (x * 255 // (width - 1) + y * 40) % 256)
    picture.putalpha(alpha)
    return picture


def png(width, height, colour_type, depth, rows, palette=b"", transparency=b""):
    """A PNG written by hand: the kinds that Pillow can't write."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0))
    extra = (chunk(b"PLTE", palette) if palette else b"") + (chunk(b"tRNS", transparency) if transparency else b"")
    return b"\x89PNG\r\n\x1a\n" + header + extra + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def deep(picture):
    """16 bits a channel, whose high bytes are the picture's and whose low bytes are not zero."""
    width, height = picture.size
    channels = len(picture.getbands())
    values = picture.tobytes()
    row = width * channels
    rows = [
        b"".join(struct.pack(">BB", value, (value * 7) % 256) for value in values[y * row : (y + 1) * row])
        for y in range(height)
    ]
    return png(width, height, {1: 0, 3: 2}[channels], 16, rows)


def on_white(picture):
    white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB")


def network_input(picture, resize, crop, letterbox, order):
    """What torchvision's Resize (bilinear, antialiased) and CenterCrop make of it, or ImageOps.pad."""
    crop_height, crop_width = crop
    if order == "bgr":
        picture = Image.merge("RGB", picture.split()[::-1])
    if letterbox:
        return ImageOps.pad(picture, (crop_width, crop_height), Image.BILINEAR, color=tuple(letterbox))
    width, height = picture.size
    if resize:
        short, long = min(width, height), max(width, height)
        size = [resize, int(resize * long / short)]
        width, height = size if width <= height else reversed(size)
    if not resize:
        width, height = crop_width, crop_height
    picture = picture.resize((width, height), Image.BILINEAR)
    left = int(round((width - crop_width) / 2.0))
    top = int(round((height - crop_height) / 2.0))
    return picture.crop((left, top, left + crop_width, top + crop_height))


CASES = []


def case(name, seen, resize, crop, letterbox=False, order="rgb"):
    """seen: the picture that the file `name` holds. letterbox: the colour of its bars."""
    boxed = "-boxed-" + "-".join(map(str, letterbox)) if letterbox else ""
    swapped = "" if order == "rgb" else f"-{order}"
    expected = f"{name.replace('.', '-')}-{resize}-{crop[0]}x{crop[1]}{boxed}{swapped}.expected.png"
    network_input(seen, resize, crop, letterbox, order).save(FOLDER / expected, optimize=True)
    given = {"resize": resize, "crop": crop, "letterbox": letterbox, "channelOrder": order}
    CASES.append({"file": name, "preprocess": given, "expected": expected})


def write(name, picture, **options):
    picture.save(FOLDER / name, **options)
    return picture


def sizes():
    for width, height, tasks in [
        (37, 23, [(16, [16, 16]), (0, [9, 31]), (48, [40, 33])]),
        (23, 37, [(16, [14, 15]), (29, [29, 29])]),
        (64, 48, [(24, [24, 24]), (96, [32, 32]), (0, [48, 64])]),
        (150, 101, [(32, [28, 28]), (17, [17, 17])]),
        (5, 3, [(12, [12, 12]), (0, [20, 11])]),
        (1, 1, [(0, [4, 4])]),
    ]:
        picture = write(f"size-{width}x{height}.png", draw(width, height), optimize=True)
        for resize, crop in tasks:
            case(f"size-{width}x{height}.png", picture, resize, crop)


def letterboxes():
    """Wide and high, shrunk and grown, into squares and oblongs, with an odd number of lines left over; one that fits as it is,
    and one that comes to a single line."""
    grey, mean, ink = (114, 114, 114), (124, 116, 104), (0, 255, 7)
    for width, height, tasks in [
        (61, 40, [([32, 32], grey, "rgb"), ([33, 32], mean, "rgb"), ([20, 57], ink, "bgr"), ([90, 90], grey, "bgr")]),
        (19, 50, [([32, 32], mean, "rgb"), ([31, 24], ink, "rgb"), ([64, 64], grey, "rgb")]),
        (48, 24, [([32, 64], ink, "rgb"), ([13, 25], ink, "bgr")]),
        (90, 2, [([24, 24], ink, "rgb"), ([48, 40], mean, "bgr")]),
    ]:
        name = f"letterbox-{width}x{height}.png"
        picture = write(name, draw(width, height), optimize=True)
        for crop, bars, order in tasks:
            case(name, picture, 0, crop, bars, order)
        case(name, picture, 16 if height > 16 else 0, [16, 15], order="bgr")


def orientations():
    for orientation in range(1, 9):
        name = f"orientation-{orientation}.jpg"
        exif = Image.Exif()
        exif[EXIF_ORIENTATION] = orientation
        draw(41, 26).save(FOLDER / name, quality=90, subsampling=0, exif=exif)
        with Image.open(FOLDER / name) as stored:
            seen = ImageOps.exif_transpose(stored).convert("RGB")
        case(name, seen, 20, [18, 20])
        if orientation in (1, 6):
            case(name, seen, 0, [24, 24], (114, 114, 114), "bgr")


def formats():
    width, height = 45, 34
    resize, crop = 24, [24, 24]
    picture = draw(width, height)
    grey = draw(width, height, "L")

    def stored(name):
        with Image.open(FOLDER / name) as image:
            return image.convert("RGB")

    def see(name, seen=None):
        case(name, seen or stored(name), resize, crop)

    write("grey.png", grey)
    see("grey.png")
    see_through = translucent(width, height)
    write("rgba.png", see_through)
    see("rgba.png", on_white(see_through))
    grey_through = see_through.convert("LA")
    write("grey-alpha.png", grey_through)
    see("grey-alpha.png", on_white(grey_through))
    write("palette.png", picture.quantize(32))
    see("palette.png")
    write("one-bit.png", picture.convert("1"))
    see("one-bit.png")
    colours = picture.quantize(16)
    table = bytes(colours.getpalette()[: 16 * 3])
    rows = [colours.tobytes()[y * width : (y + 1) * width] for y in range(height)]
    opacity = bytes(range(0, 256, 17))
    (FOLDER / "palette-alpha.png").write_bytes(png(width, height, 3, 8, rows, table, opacity))
    with Image.open(FOLDER / "palette-alpha.png") as image:
        see("palette-alpha.png", on_white(image.convert("RGBA")))
    # The low byte is below what a picture on a screen shows; engines round or cut it.
    (FOLDER / "deep.png").write_bytes(deep(picture))
    see("deep.png", picture)
    (FOLDER / "deep-grey.png").write_bytes(deep(grey))
    see("deep-grey.png", grey.convert("RGB"))

    write("444.jpg", picture, quality=90, subsampling=0)
    see("444.jpg")
    write("420.jpg", picture, quality=85, subsampling=2)
    see("420.jpg")
    write("progressive.jpg", picture, quality=85, progressive=True, subsampling=0)
    see("progressive.jpg")
    write("grey.jpg", grey, quality=90)
    see("grey.jpg")
    write("cmyk.jpg", picture.convert("CMYK"), quality=95, subsampling=0)
    see("cmyk.jpg")
    write("lossless.webp", picture, lossless=True)
    see("lossless.webp")
    write("palette.gif", picture.quantize(64))
    see("palette.gif")
    write("plain.tif", picture, compression="tiff_lzw")
    see("plain.tif")


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    sizes()
    letterboxes()
    orientations()
    formats()
    rows = ",\n".join(json.dumps(row) for row in CASES)
    (FOLDER / "cases.json").write_text(f"[\n{rows}\n]\n")


main()
