#!/usr/bin/python3
"""Trains the signs model on what `generate.py --train FOLDER` wrote, exports it and measures it.

    train.py FOLDER                    trains, writes signs.onnx, labels.txt and preprocess.json beside this file
    train.py --evaluate signs.onnx     top-1 of a file on the pictures in test/
"""

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from PIL import Image

from generate import SIZE, classNames
from network import SignNet
from onnx_graph import Graph

HERE = Path(__file__).resolve().parent
MEAN, STD = 0.5, 0.25


def prepare(pictures: np.ndarray) -> torch.Tensor:
    """N x 64 x 64 x 3 bytes to what the network takes: N x 3 x 64 x 64, (x / 255 - mean) / std."""
    x = torch.from_numpy(pictures).permute(0, 3, 1, 2).float()
    return (x / 255 - MEAN) / STD


def augment(x: torch.Tensor) -> torch.Tensor:
    """A shift of up to four pixels and a little light and contrast for each picture; mirroring would change classes."""
    count, reach = x.shape[0], 4
    padded = F.pad(x, (reach,) * 4, mode="replicate")
    moved = torch.empty_like(x)
    for index, (dx, dy) in enumerate(torch.randint(0, 2 * reach + 1, (count, 2)).tolist()):
        moved[index] = padded[index, :, dy : dy + SIZE, dx : dx + SIZE]
    gain = 1 + 0.15 * torch.randn(count, 1, 1, 1)
    return moved * gain + 0.1 * torch.randn(count, 3, 1, 1)


def top1(network, pictures: np.ndarray, labels: np.ndarray) -> float:
    """The percentage of pictures whose largest logit is that of their class."""
    right = 0
    with torch.no_grad():
        for start in range(0, len(pictures), 100):
            logits = network(prepare(pictures[start : start + 100]))
            right += int((logits.argmax(1).numpy() == labels[start : start + 100]).sum())
    return 100 * right / len(pictures)


def train(folder: Path, epochs: int, batch: int, peak: float) -> SignNet:
    """SGD with Nesterov momentum; the learning rate rises for a twentieth of the run, then falls as a cosine."""
    classes = len(classNames())
    pictures, unseen = np.load(folder / "train.npy"), np.load(folder / "validation.npy")
    labels = torch.arange(len(pictures)) % classes
    network = SignNet(classes).to(memory_format=torch.channels_last)
    # Weight decay is for the matrices; on scales and biases it only costs accuracy.
    decayed = [p for p in network.parameters() if p.dim() > 1]
    others = [p for p in network.parameters() if p.dim() <= 1]
    groups = [{"params": decayed, "weight_decay": 5e-4}, {"params": others, "weight_decay": 0}]
    optimiser = torch.optim.SGD(groups, lr=peak, momentum=0.9, nesterov=True)
    steps = len(pictures) // batch
    total, step, started = epochs * steps, 0, time.time()
    for epoch in range(epochs):
        network.train()
        order = torch.randperm(len(pictures))
        loss_sum = 0.0
        for number in range(steps):
            warm = (step + 1) / (0.05 * total)
            rate = peak * min(warm, 0.5 * (1 + math.cos(math.pi * step / total)))
            for group in optimiser.param_groups:
                group["lr"] = rate
            chosen = order[number * batch : (number + 1) * batch]
            x = augment(prepare(pictures[chosen.numpy()])).contiguous(memory_format=torch.channels_last)
            loss = F.cross_entropy(network(x), labels[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            loss_sum += loss.item()
            step += 1
        network.eval()
        score = top1(network, unseen, np.arange(len(unseen)) % classes)
        passed = time.time() - started
        report = f"epoch {epoch + 1:2} loss {loss_sum / steps:.4f} validation {score:.2f} % after {passed:.0f} s"
        print(report, flush=True)
    return network


def export(network: SignNet, path: Path) -> None:
    """Writes ONNX with the batch norms as they are: folding them is the quantizer's work."""
    network.eval()
    torch.onnx.export(
        network.to(memory_format=torch.contiguous_format),
        torch.zeros(1, 3, SIZE, SIZE),
        str(path),
        opset_version=13,
        input_names=["input"],
        output_names=["logits"],
        dynamic_axes={"input": {0: "N"}, "logits": {0: "N"}},
        training=torch.onnx.TrainingMode.PRESERVE,
        do_constant_folding=False,
    )
    model = onnx.load(str(path))
    # The exporter may note in them where its sources lie on the machine.
    model.doc_string = model.graph.doc_string = ""
    for node in list(model.graph.node):
        node.doc_string = ""
        # Two batch norms whose outputs are added learn the same bias; the exporter keeps one of them and an Identity.
        if node.op_type == "Identity":
            twin = next(w for w in model.graph.initializer if w.name == node.input[0])
            copy = model.graph.initializer.add()
            copy.CopyFrom(twin)
            copy.name = node.output[0]
            model.graph.node.remove(node)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))


def testPictures() -> tuple:
    pictures, labels = [], []
    for index, name in enumerate(classNames()):
        for path in sorted((HERE / "test" / name).glob("*.png")):
            pictures.append(np.asarray(Image.open(path).convert("RGB")))
            labels.append(index)
    return np.stack(pictures), np.array(labels)


def evaluate(path: str) -> None:
    """Prints the top-1 of the file over all test pictures and what it took for what."""
    network, names = Graph(path), (HERE / "labels.txt").read_text().split()
    pictures, labels = testPictures()
    print(f"top-1 {top1(network, pictures, labels):.2f} % of {len(labels)} test pictures")
    found = network(prepare(pictures)).argmax(1).numpy()
    for label, answer in zip(labels, found):
        if label != answer:
            print(f"  {names[label]} taken for {names[answer]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="what generate.py --train wrote")
    parser.add_argument("--evaluate", metavar="FILE", help="an ONNX file to measure instead")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=0.1, help="the highest learning rate (default %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="more help only on an idle machine")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.evaluate:
        evaluate(options.evaluate)
        return
    if not options.folder:
        parser.error("name the folder that generate.py --train wrote, or --evaluate FILE")
    torch.manual_seed(1)
    network = train(options.folder, options.epochs, options.batch, options.rate)
    export(network, HERE / "signs.onnx")
    (HERE / "labels.txt").write_text("\n".join(classNames()) + "\n")
    contract = {"mean": [MEAN] * 3, "std": [STD] * 3, "resize": SIZE, "crop": SIZE}
    (HERE / "preprocess.json").write_text(json.dumps(contract, indent=2) + "\n")
    evaluate(str(HERE / "signs.onnx"))


if __name__ == "__main__":
    main()
