"""Procedural surroundings of a sign: what is behind it, on it and in front of it.

Images are float32 arrays, height x width x 3, in 0..1. Every function draws its chances from the generator it is
given, in a fixed order, so a seed names a picture.
"""

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SKIES = [
    (0.55, 0.72, 0.92), (0.78, 0.82, 0.86), (0.93, 0.93, 0.92),
    (0.35, 0.55, 0.85), (0.95, 0.80, 0.62), (0.3, 0.34, 0.42),
]
GROUNDS = [(0.36, 0.36, 0.37), (0.30, 0.42, 0.20), (0.52, 0.47, 0.38), (0.24, 0.24, 0.26), (0.62, 0.60, 0.55)]
WALLS = [
    (0.62, 0.33, 0.25), (0.80, 0.76, 0.66), (0.55, 0.56, 0.58),
    (0.88, 0.87, 0.84), (0.42, 0.35, 0.30), (0.70, 0.58, 0.38),
]
LEAVES = [(0.20, 0.36, 0.12), (0.32, 0.46, 0.16), (0.12, 0.24, 0.10), (0.48, 0.44, 0.16), (0.50, 0.30, 0.12)]
# The colours of signs themselves, for shop fronts, cars and other things that should not be taken for one.
LOUD = [(0.78, 0.10, 0.12), (0.08, 0.32, 0.63), (0.95, 0.72, 0.02), (0.96, 0.96, 0.94), (0.10, 0.10, 0.11)]


def chance(rng, probability: float) -> bool:
    return rng.random() < probability


def pick(rng, colours: list, spread: float = 0.06) -> np.ndarray:
    """One of the colours, a little off."""
    colour = np.array(colours[rng.integers(len(colours))]) + rng.normal(0, spread, 3)
    return np.clip(colour * rng.uniform(0.8, 1.15), 0, 1)


def bytes3(colour) -> tuple:
    return tuple(int(255 * c) for c in colour)


def fractalNoise(rng, size: int, coarsest: int, octaves: int) -> np.ndarray:
    """Smooth noise of about unit deviation; each octave is twice as fine as the last and half as strong."""
    total = np.zeros((size, size), np.float32)
    power = 0.0
    for octave in range(octaves):
        cells = min(size, coarsest << octave)
        strength = 0.5**octave
        grid = Image.fromarray(rng.normal(0, strength, (cells, cells)).astype(np.float32))
        total += np.asarray(grid.resize((size, size), Image.BICUBIC))
        # Interpolation between the cells halves the variance, roughly.
        power += 0.5 * strength * strength
    return total / math.sqrt(power)


def foliage(rng, draw, box: tuple, count: int) -> None:
    """Overlapping leaves of one plant within the box (left, top, right, bottom)."""
    base = pick(rng, LEAVES)
    for _ in range(count):
        x, y = rng.uniform(box[0], box[2]), rng.uniform(box[1], box[3])
        rx, ry = rng.uniform(1.5, 7, 2)
        draw.ellipse((x - rx, y - ry, x + rx, y + ry), fill=bytes3(np.clip(base * rng.uniform(0.45, 1.5), 0, 1)))


def building(rng, draw, size: int, horizon: float) -> None:
    left, width = rng.uniform(-0.2, 0.9) * size, rng.uniform(0.2, 0.7) * size
    top = rng.uniform(-0.1, 0.8) * horizon
    wall = pick(rng, WALLS)
    draw.rectangle((left, top, left + width, horizon), fill=bytes3(wall))
    glass = bytes3(wall * rng.uniform(0.3, 0.7) if chance(rng, 0.8) else np.minimum(wall * 1.6, 1))
    step, part = rng.uniform(8, 22), rng.uniform(0.4, 0.75)
    for row in range(int((horizon - top) / step)):
        for column in range(int(width / step)):
            x, y = left + (column + 0.2) * step, top + (row + 0.25) * step
            draw.rectangle((x, y, x + part * step, y + 0.6 * step), fill=glass)


def loudThing(rng, draw, size: int) -> None:
    """A shape in the colours of a sign: a disc, a triangle, a board or a stripe."""
    x, y, r = rng.uniform(0, size), rng.uniform(0, size), rng.uniform(0.04, 0.2) * size
    colour, kind = bytes3(pick(rng, LOUD)), rng.integers(4)
    if kind == 0:
        draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)
        draw.ellipse((x - 0.7 * r, y - 0.7 * r, x + 0.7 * r, y + 0.7 * r), fill=bytes3(pick(rng, LOUD)))
    elif kind == 1:
        draw.polygon([(x, y - r), (x + r, y + r), (x - r, y + r)], fill=colour)
    elif kind == 2:
        draw.rectangle((x - r, y - 0.6 * r, x + r, y + 0.6 * r), fill=colour)
    else:
        end = rng.uniform(0, size, 2)
        draw.line((x, y, end[0], end[1]), fill=colour, width=int(rng.integers(2, 7)))


def background(rng, size: int) -> np.ndarray:
    """A street, a hedge or a wall: none of it in much detail, all of it in the way."""
    image = Image.new("RGB", (size, size))
    draw = ImageDraw.Draw(image)
    horizon = rng.uniform(0.35, 1.15) * size
    high, low = pick(rng, SKIES), pick(rng, SKIES)
    for y in range(size):
        t = y / size
        draw.line((0, y, size, y), fill=bytes3(high * (1 - t) + low * t))
    if chance(rng, 0.6):
        for _ in range(rng.integers(1, 4)):
            building(rng, draw, size, horizon)
    if chance(rng, 0.6):
        for _ in range(rng.integers(1, 4)):
            x, y, r = rng.uniform(0, size), rng.uniform(0.1, 1) * horizon, rng.uniform(0.1, 0.4) * size
            foliage(rng, draw, (x - r, y - r, x + r, y + r), int(r * 5))
    draw.rectangle((0, horizon, size, size), fill=bytes3(pick(rng, GROUNDS)))
    if chance(rng, 0.5):
        x = rng.uniform(0, size)
        draw.line((x, size, size / 2, horizon), fill=(225, 225, 215), width=int(rng.integers(2, 7)))
    for _ in range(rng.poisson(1.6)):
        loudThing(rng, draw, size)
    for _ in range(rng.poisson(1.0)):
        x, lean = rng.uniform(0, size), rng.normal(0, 6)
        draw.line((x, 0, x + lean, size), fill=bytes3(pick(rng, WALLS)), width=int(rng.integers(1, 6)))
    # The camera is focused on the sign, so what lies behind it is softer.
    image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.4, 3.5)))
    pixels = np.asarray(image, np.float32) / 255
    texture = fractalNoise(rng, size, int(rng.integers(3, 12)), 5)[..., None]
    return np.clip(pixels * (1 + rng.uniform(0.02, 0.14) * texture), 0, 1)


def weather(rng, colour: np.ndarray, hard: float) -> np.ndarray:
    """Ageing of a sign's surface: faded paint, dirt, scratches, stickers, snow; colour is size x size x 3."""
    size = colour.shape[0]
    grey = colour.mean(axis=2, keepdims=True)
    fade = rng.uniform(0, 0.6) * hard
    colour = (1 - fade) * colour + fade * (0.35 + 0.5 * grey)
    if chance(rng, 0.2 + 0.5 * hard):
        noise = fractalNoise(rng, size, int(rng.integers(2, 7)), 5)
        mask = np.clip((noise - rng.uniform(0.4, 1.5)) * 2, 0, 1)[..., None] * rng.uniform(0.4, 0.95)
        colour = (1 - mask) * colour + mask * pick(rng, [(0.35, 0.28, 0.20), (0.2, 0.2, 0.18), (0.50, 0.36, 0.22)])
    image = Image.fromarray((255 * np.clip(colour, 0, 1)).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(rng.poisson(1.5 * hard)):
        a, b = rng.uniform(0, size, 2), rng.normal(0, 0.2 * size, 2)
        draw.line((a[0], a[1], a[0] + b[0], a[1] + b[1]), fill=bytes3(pick(rng, WALLS)), width=int(rng.integers(1, 4)))
    for _ in range(rng.poisson(0.5 * hard)):
        a, b = rng.uniform(0.1 * size, 0.8 * size, 2), rng.uniform(0.05, 0.2, 2) * size
        draw.rectangle((a[0], a[1], a[0] + b[0], a[1] + b[1]), fill=bytes3(pick(rng, LOUD + WALLS)))
    if chance(rng, 0.12 * hard):
        level = rng.uniform(0.15, 0.5) * size
        line = [(x, level + 0.05 * size * math.sin(0.09 * x + level)) for x in range(0, size + 8, 8)]
        draw.polygon([(0, 0)] + line + [(size, 0)], fill=(236, 240, 245))
    return np.asarray(image, np.float32) / 255


def inFront(rng, image: np.ndarray, centre: np.ndarray, radius: float, hard: float) -> np.ndarray:
    """Leaves, posts and edges of vehicles between the camera and the sign."""
    if not chance(rng, 0.15 + 0.5 * hard):
        return image
    size = image.shape[0]
    # What was drawn and where; only that is out of focus, not the sign behind it.
    layer = Image.fromarray((255 * image).astype(np.uint8))
    before = np.asarray(layer)
    draw = ImageDraw.Draw(layer)
    kind = rng.integers(4)
    angle = rng.uniform(0, 2 * math.pi)
    side = np.array([math.cos(angle), math.sin(angle)])
    if kind <= 1:
        x, y = centre + side * radius * rng.uniform(0.6, 1.1)
        reach = radius * rng.uniform(0.3, 0.65)
        foliage(rng, draw, (x - reach, y - reach, x + reach, y + reach), int(rng.integers(12, 50)))
    elif kind == 2:
        across = np.array([-side[1], side[0]]) * 2 * size
        x, y = centre + side * radius * rng.uniform(0.1, 0.9)
        width = max(2, int(radius * rng.uniform(0.1, 0.3)))
        line = (x - across[0], y - across[1], x + across[0], y + across[1])
        draw.line(line, fill=bytes3(pick(rng, WALLS)), width=width)
    else:
        across = np.array([-side[1], side[0]]) * 2 * size
        near = centre + side * radius * rng.uniform(0.35, 0.9)
        far = near + side * 2 * size
        corners = [near - across, near + across, far + across, far - across]
        draw.polygon([tuple(c) for c in corners], fill=bytes3(pick(rng, WALLS + LOUD)))
    blur = ImageFilter.GaussianBlur(rng.uniform(0.3, 2.5))
    drawn = Image.fromarray((np.asarray(layer) != before).any(axis=2).astype(np.uint8) * 255)
    mask = np.asarray(drawn.filter(blur), np.float32)[..., None] / 255
    return (1 - mask) * image + mask * np.asarray(layer.filter(blur), np.float32) / 255


def castShadow(rng, image: np.ndarray) -> np.ndarray:
    """Shade with a straight edge (a building) or a ragged one (a tree)."""
    size = image.shape[0]
    if chance(rng, 0.5):
        field = fractalNoise(rng, size, int(rng.integers(2, 6)), 4)
    else:
        angle = rng.uniform(0, 2 * math.pi)
        ys, xs = np.mgrid[0:size, 0:size] / size - 0.5
        field = 6 * (xs * math.cos(angle) + ys * math.sin(angle) + rng.normal(0, 0.2))
    mask = np.clip(field * rng.uniform(1, 5) + 0.5, 0, 1)[..., None].astype(np.float32)
    return image * (1 - mask * rng.uniform(0.3, 0.7))
