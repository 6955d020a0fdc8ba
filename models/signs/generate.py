#!/usr/bin/python3
"""Renders the drawings in svg/ as photographs would show them: one seed, one 64 x 64 picture.

    generate.py --calibration --test     writes calibration/ and test/ beside this file
    generate.py --train FOLDER           writes the training and validation pictures as .npy files for train.py
    generate.py --sheet FILE             a contact sheet of training pictures, to look at
"""

import argparse
import io
import math
import multiprocessing
import shutil
import subprocess
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

import scene

HERE = Path(__file__).resolve().parent
SIZE = 64
# Pictures are composed at twice their size and averaged down, which is what a sensor does with fine detail.
CANVAS = 2 * SIZE
TEXTURE = 192
TRAIN, VALIDATION, CALIBRATION, TEST = 0, 1_000_000, 2_000_000, 3_000_000
PER_CLASS = 20


def classNames() -> list:
    """The classes in index order: the drawings' names, sorted."""
    return sorted(path.stem for path in (HERE / "svg").glob("*.svg"))


@lru_cache(maxsize=None)
def drawing(name: str) -> np.ndarray:
    """The drawing as TEXTURE x TEXTURE x 4 floats in 0..1 with straight alpha."""
    command = ["rsvg-convert", "-w", str(TEXTURE), "-h", str(TEXTURE), str(HERE / "svg" / f"{name}.svg")]
    png = subprocess.run(command, check=True, capture_output=True).stdout
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"), np.float32) / 255


def homography(corners: np.ndarray, side: int) -> list:
    """PIL's eight coefficients that map the picture's corners (4 x 2) back to a texture of that side."""
    texture = [(0, 0), (side, 0), (side, side), (0, side)]
    rows, targets = [], []
    for (x, y), (u, v) in zip(corners, texture):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y])
        targets += [u, v]
    return list(np.linalg.solve(np.array(rows), np.array(targets)))


def pose(rng, hard: float) -> tuple:
    """Where the sign's corners fall in the picture (4 x 2), its centre and its radius, in canvas pixels."""
    yaw = np.clip(rng.normal(0, 12 + 20 * hard), -60, 60)
    pitch = np.clip(rng.normal(0, 6 + 12 * hard), -40, 40)
    roll = np.clip(rng.normal(0, 4 + 8 * hard), -25, 25)
    yaw, pitch, roll = np.radians([yaw, pitch, roll])
    about_y = np.array([[math.cos(yaw), 0, math.sin(yaw)], [0, 1, 0], [-math.sin(yaw), 0, math.cos(yaw)]])
    about_x = np.array([[1, 0, 0], [0, math.cos(pitch), -math.sin(pitch)], [0, math.sin(pitch), math.cos(pitch)]])
    about_z = np.array([[math.cos(roll), -math.sin(roll), 0], [math.sin(roll), math.cos(roll), 0], [0, 0, 1]])
    square = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
    points = square @ (about_z @ about_x @ about_y).T
    distance = rng.uniform(3, 7)
    flat = points[:, :2] * distance / (distance + points[:, 2:])
    # Small signs are the hardest of all, so they are drawn less often than large ones.
    largest, smallest = 0.46, 0.46 - 0.33 * hard
    radius = CANVAS * (smallest + (largest - smallest) * rng.beta(2, 2))
    slack = max(0.0, CANVAS / 2 - radius)
    centre = CANVAS / 2 + rng.uniform(-1, 1, 2) * (slack * 0.8 + 0.08 * radius)
    return flat * radius + centre, centre, radius


def compose(rng, name: str, hard: float) -> tuple:
    """The sharp canvas (background, post, sign and whatever stands before it) and the sign's radius on it."""
    canvas = scene.background(rng, CANVAS)
    corners, centre, radius = pose(rng, hard)
    texture = drawing(name)
    colour = scene.weather(rng, texture[..., :3], hard)
    # A light from the side brightens one half of the plate.
    ramp = np.linspace(-1, 1, TEXTURE, dtype=np.float32) * rng.normal(0, 0.15)
    colour = np.clip(colour * (rng.uniform(0.75, 1.1) + ramp[None, :, None]), 0, 1)
    plate = np.concatenate([colour, texture[..., 3:]], axis=2)
    side = int(min(TEXTURE, max(24, 2.4 * radius)))
    plate = Image.fromarray((255 * plate).astype(np.uint8), "RGBA").resize((side, side), Image.LANCZOS)
    plate = plate.transform((CANVAS, CANVAS), Image.PERSPECTIVE, homography(corners, side), Image.BICUBIC)
    plate = np.asarray(plate, np.float32) / 255
    if scene.chance(rng, 0.7):
        foot, half = int(centre[0]), max(1, int(0.06 * radius))
        top, left, right = max(0, int(centre[1])), max(0, foot - half), max(0, foot + half)
        canvas[top:, left:right] = scene.pick(rng, [(0.55, 0.55, 0.56)])
    alpha = plate[..., 3:]
    canvas = canvas * (1 - alpha) + plate[..., :3] * alpha
    return scene.inFront(rng, canvas, centre, radius, hard), radius


def motionBlur(image: np.ndarray, length: float, angle: float) -> np.ndarray:
    """The mean of the image along a line of that many pixels."""
    steps = max(2, int(round(length)) + 1)
    total = np.zeros_like(image)
    margin = int(length) + 1
    padded = np.pad(image, ((margin, margin), (margin, margin), (0, 0)), mode="edge")
    height, width = image.shape[:2]
    for t in np.linspace(-0.5, 0.5, steps):
        dx, dy = int(round(t * length * math.cos(angle))), int(round(t * length * math.sin(angle)))
        total += padded[margin + dy : margin + dy + height, margin + dx : margin + dx + width]
    return total / steps


def photograph(rng, canvas: np.ndarray, radius: float, hard: float) -> np.ndarray:
    """What a camera makes of the canvas: light, blur, a sensor and its compression; SIZE x SIZE x 3 bytes."""
    if scene.chance(rng, 0.35):
        canvas = scene.castShadow(rng, canvas)
    warmth = rng.normal(0, 0.04 + 0.12 * hard)
    cast = 1 + np.array([warmth, rng.normal(0, 0.04), -warmth])
    exposure = math.exp(np.clip(rng.normal(-0.05, 0.15 + 0.4 * hard), -1.1, 0.6))
    haze = rng.uniform(0, 0.65) * hard * scene.chance(rng, 0.4)
    image = canvas**rng.uniform(0.8, 1.3) * cast * exposure
    image = (1 - haze) * image + haze * rng.uniform(0.5, 0.85)
    if scene.chance(rng, 0.08 + 0.1 * hard):
        # The sun or a lamp in the frame.
        x, y = rng.uniform(0, CANVAS, 2)
        ys, xs = np.mgrid[0:CANVAS, 0:CANVAS]
        reach = rng.uniform(0.1, 0.35) * CANVAS
        glow = np.exp(-((xs - x) ** 2 + (ys - y) ** 2) / (2 * reach * reach))
        image = image + rng.uniform(0.25, 0.7) * exposure * glow[..., None]
    image = np.clip(image, 0, 1.2).astype(np.float32)
    if scene.chance(rng, 0.2 + 0.4 * hard):
        image = motionBlur(image, min(rng.uniform(2, 4 + 10 * hard), 0.28 * radius), rng.uniform(0, math.pi))
    picture = Image.fromarray((255 * np.clip(image, 0, 1)).astype(np.uint8))
    # However bad the camera, it leaves the symbol readable to somebody who looks long enough.
    picture = picture.filter(ImageFilter.GaussianBlur(min(rng.gamma(2, 0.3 + 0.5 * hard), 0.08 * radius)))
    # A sign far off is a crop of a larger photograph: few pixels, enlarged.
    shrink = rng.uniform(1 - 0.55 * hard, 1)
    small = max(20, int(SIZE * shrink))
    picture = picture.resize((small, small), Image.BOX)
    image = np.asarray(picture, np.float32) / 255
    read, shot = np.minimum(rng.gamma(1.5, 0.004 + 0.014 * hard, 2), 0.06)
    image = image + rng.normal(0, 1, image.shape) * np.sqrt(read**2 + shot**2 * image)
    picture = Image.fromarray((255 * np.clip(image, 0, 1)).astype(np.uint8)).resize((SIZE, SIZE), Image.BICUBIC)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=int(rng.uniform(40, 92)))
    return np.asarray(Image.open(file).convert("RGB"))


def render(seed: int) -> np.ndarray:
    """The picture of a seed; its class is the seed modulo the number of classes."""
    names = classNames()
    rng = np.random.default_rng(seed)
    hard = rng.beta(1.6, 1.6)
    canvas, radius = compose(rng, names[seed % len(names)], hard)
    return photograph(rng, canvas, radius, hard)


def renderMany(first: int, count: int, workers: int) -> np.ndarray:
    with multiprocessing.Pool(workers) as pool:
        return np.stack(list(pool.imap(render, range(first, first + count), chunksize=64)))


def writeTraining(folder: Path, train: int, validation: int, workers: int) -> None:
    """FOLDER/train.npy and FOLDER/validation.npy: N x 64 x 64 x 3 bytes; picture i is of class i mod classes."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "train.npy", renderMany(TRAIN, train, workers))
    np.save(folder / "validation.npy", renderMany(VALIDATION, validation, workers))


def writeCalibration(count: int, workers: int) -> None:
    folder = HERE / "calibration"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for index, picture in enumerate(renderMany(CALIBRATION, count, workers)):
        Image.fromarray(picture).save(folder / f"{index:02}.png", optimize=True)


def writeTest(tests: Path, per_class: int, workers: int) -> None:
    names = classNames()
    digits = len(str(per_class - 1))
    for name in names:
        shutil.rmtree(tests / name, ignore_errors=True)
        (tests / name).mkdir(parents=True)
    for index, picture in enumerate(renderMany(TEST, per_class * len(names), workers)):
        file = f"{index // len(names):0{digits}}.png"
        Image.fromarray(picture).save(tests / names[index % len(names)] / file, optimize=True)


def writeSheet(path: Path, workers: int) -> None:
    columns, pictures = len(classNames()), renderMany(TRAIN, 12 * len(classNames()), workers)
    rows = [np.concatenate(pictures[i : i + columns], axis=1) for i in range(0, len(pictures), columns)]
    Image.fromarray(np.concatenate(rows)).save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calibration", action="store_true")
    parser.add_argument("--test", action="store_true")
    parser.add_argument("--more-tests", type=Path, metavar="FOLDER", help="those of --test and nine times as many others")
    parser.add_argument("--train", type=Path, metavar="FOLDER")
    parser.add_argument("--sheet", type=Path, metavar="FILE")
    parser.add_argument("--images", type=int, default=30000, help="training pictures (default %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="processes (default %(default)s)")
    options = parser.parse_args()
    if options.calibration:
        writeCalibration(64, options.workers)
    if options.test:
        writeTest(HERE / "test", PER_CLASS, options.workers)
    if options.more_tests:
        writeTest(options.more_tests, 10 * PER_CLASS, options.workers)
    if options.train:
        writeTraining(options.train, options.images, 1000, options.workers)
    if options.sheet:
        writeSheet(options.sheet, options.workers)


if __name__ == "__main__":
    main()
