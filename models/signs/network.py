"""The network of the signs model: a small residual network with batch norm and ReLU."""

import torch
from torch import nn


def convBn(inputs: int, outputs: int, size: int, stride: int) -> nn.Sequential:
    """A convolution without bias (the batch norm behind it has one) that halves the image if stride is 2."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False),
        nn.BatchNorm2d(outputs),
    )


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut, which is a 1x1 convolution where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.first = convBn(inputs, outputs, 3, stride)
        self.second = convBn(outputs, outputs, 3, 1)
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else convBn(inputs, outputs, 1, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.second(torch.relu(self.first(x)))
        return torch.relu(y + self.shortcut(x))


class SignNet(nn.Module):
    """N x 3 x 64 x 64 to N x classes; the channels double where the image halves."""

    def __init__(self, classes: int, widths: tuple = (32, 64, 128), blocks: int = 2):
        super().__init__()
        self.stem = convBn(3, widths[0], 3, 2)
        stages = []
        inputs = widths[0]
        for index, width in enumerate(widths):
            for number in range(blocks):
                stride = 2 if index > 0 and number == 0 else 1
                stages.append(Block(inputs, width, stride))
                inputs = width
        self.stages = nn.Sequential(*stages)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(inputs, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        # Each block starts as its shortcut alone, which steadies the first steps at a high learning rate.
        for module in self.modules():
            if isinstance(module, Block):
                nn.init.zeros_(module.second[1].weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stages(torch.relu(self.stem(x)))
        return self.linear(torch.flatten(self.pool(x), 1))
