"""Networks for images, as torch modules: a small one, and the two large ones that the paper names.

Each function takes the shape of an image, (height, width), the number of outputs and a width, and returns a
`torch.nn.Sequential` whose last layer is linear; it maps (n, 1, height, width) to logits, (n, outputs).
"""

import torch
from torch import Tensor, nn

LEAK = 0.1  # slope below 0 in the small network, where every channel counts: one of ReLU can die


def separable(image_shape: tuple[int, int], n_outputs: int, width: int) -> nn.Sequential:
    """Depthwise-separable blocks (Chollet 2017), then `PositionalPooling`; ``width`` is that of the first block."""
    last = round(1.75 * width)
    places = (-(-image_shape[0] // 4), -(-image_shape[1] // 4))
    return nn.Sequential(
        *_convolution(1, width, stride=2, leak=LEAK),
        *_separable_block(width, width, stride=2),
        *_separable_block(width, last, stride=1),
        PositionalPooling(last, places),
        nn.Linear(last, n_outputs),
    )


def resnet18(image_shape: tuple[int, int], n_outputs: int, width: int) -> nn.Sequential:
    """ResNet-18 (He et al. 2016) for small images: a 3 x 3 convolution in front, no pooling before the blocks.

    ``width`` is that of the first stage, 64 in the original.
    """
    stages = [(width, 1), (2 * width, 2), (4 * width, 2), (8 * width, 2)]
    layers, inputs = _convolution(1, width, stride=1), width
    for outputs, stride in stages:
        layers += [ResidualBlock(inputs, outputs, stride), ResidualBlock(outputs, outputs, 1)]
        inputs = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, n_outputs))


def vgg(image_shape: tuple[int, int], n_outputs: int, width: int) -> nn.Sequential:
    """Six convolutions as in VGG (Simonyan and Zisserman 2015), with batch normalisation, and one linear layer.

    ``width`` is that of the first stage, 64 in the original.
    """
    layers, inputs = [], 1
    for depth, outputs in ((1, width), (1, 2 * width), (2, 4 * width), (2, 8 * width)):
        for _ in range(depth):
            layers += _convolution(inputs, outputs, stride=1)
            inputs = outputs
        layers.append(nn.MaxPool2d(2, ceil_mode=True))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, n_outputs))


class PositionalPooling(nn.Module):
    """Weigh every place of every channel's map by itself and sum: (n, channels, h, w) to (n, channels).

    Where things are centred, a place means something, and global average pooling would forget it. The same as a
    depthwise convolution over the whole map, but two to three times faster on a CPU.
    """

    def __init__(self, channels: int, places: tuple[int, int]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, *places))

    def forward(self, x: Tensor) -> Tensor:
        """Sum the weighted maps."""
        return (x * self.weight).sum((2, 3))


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions, and the input added to their output."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            *_convolution(inputs, outputs, stride),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        same = stride == 1 and inputs == outputs
        # Every stride-th place, then a convolution of stride 1: where channels are few, oneDNN writes beyond the memory
        # of one of stride 2 (https://github.com/uxlfoundation/oneDNN/issues/6035).
        project = [nn.MaxPool2d(1, stride), nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs)]
        self.shortcut = nn.Sequential(*([] if same else project))

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, inputs, h, w) to (n, outputs, h / stride, w / stride)."""
        return nn.functional.relu(self.convolutions(x) + self.shortcut(x))


def _convolution(inputs: int, outputs: int, stride: int, leak: float = 0) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
    return [convolution, nn.BatchNorm2d(outputs), nn.LeakyReLU(leak, inplace=True)]  # 0 is ReLU


def _separable_block(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
    depthwise = nn.Conv2d(inputs, inputs, 3, stride, padding=1, groups=inputs, bias=False)
    pointwise = nn.Conv2d(inputs, outputs, 1, bias=False)
    return [depthwise, pointwise, nn.BatchNorm2d(outputs), nn.LeakyReLU(LEAK, inplace=True)]
