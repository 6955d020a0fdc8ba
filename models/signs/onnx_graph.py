"""Runs the few operators of signs.onnx with torch, from the file itself, so that the file is what gets measured."""

import onnx
import torch
import torch.nn.functional as F
from onnx import numpy_helper


def convolve(node: dict, x, weight, bias=None):
    top, left, bottom, right = node["pads"]
    assert (top, left) == (bottom, right) and node["group"] == 1 and node["dilations"] == [1, 1]
    return F.conv2d(x, weight, bias, node["strides"], (top, left))


def normalise(node: dict, x, scale, bias, mean, variance):
    return F.batch_norm(x, mean, variance, scale, bias, training=False, eps=node["epsilon"])


def multiply(node: dict, x, weight, bias):
    assert node["transB"] == 1 and node["alpha"] == 1 and node["beta"] == 1
    return F.linear(x, weight, bias)


OPERATORS = {
    "Conv": convolve,
    "BatchNormalization": normalise,
    "Relu": lambda node, x: torch.relu(x),
    "Add": lambda node, x, y: x + y,
    "GlobalAveragePool": lambda node, x: x.mean(dim=(2, 3), keepdim=True),
    "Flatten": lambda node, x: torch.flatten(x, node["axis"]),
    "Gemm": multiply,
}


class Graph:
    """A checked ONNX file; call it with a batch to get its first output."""

    def __init__(self, path: str):
        model = onnx.load(path)
        onnx.checker.check_model(model, full_check=True)
        self.graph = model.graph
        self.weights = {w.name: torch.from_numpy(numpy_helper.to_array(w).copy()) for w in self.graph.initializer}

    @torch.no_grad()
    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        values = dict(self.weights)
        values[self.graph.input[0].name] = x
        for node in self.graph.node:
            attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            inputs = [values[name] for name in node.input]
            values[node.output[0]] = OPERATORS[node.op_type](attributes, *inputs)
        return values[self.graph.output[0].name]
