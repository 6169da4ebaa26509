"""Backbones with the layers of torchvision's ResNets, each layer a single small convolution."""

import enum
from collections.abc import Callable

import torch
from torch import Tensor, nn


class Weights(enum.Enum):
    """Names of pretrained weights; here they all mean the same tiny ones."""

    IMAGENET1K_V1 = "IMAGENET1K_V1"
    IMAGENET1K_V2 = "IMAGENET1K_V2"
    DEFAULT = IMAGENET1K_V2


ResNet18_Weights = ResNet34_Weights = ResNet50_Weights = Weights
ResNet101_Weights = ResNet152_Weights = Weights


class ResNet(nn.Module):
    """conv1, bn1, relu, maxpool, layer1 to layer4, avgpool and fc, in this order.

    Args:
        features: Width of what `avgpool` gives and `fc` takes.
    """

    def __init__(self, features: int) -> None:
        """Make the same weights every time."""
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.conv1 = nn.Conv2d(3, 8, kernel_size=7, stride=2, padding=3, bias=False)
            self.bn1 = nn.BatchNorm2d(8)
            self.relu = nn.ReLU(inplace=True)
            self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
            self.layer1 = nn.Sequential(nn.Conv2d(8, 8, 1))
            self.layer2 = nn.Sequential(nn.Conv2d(8, 8, 1, stride=2))
            self.layer3 = nn.Sequential(nn.Conv2d(8, 8, 1, stride=2))
            self.layer4 = nn.Sequential(nn.Conv2d(8, features, 1, stride=2))
            self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
            self.fc = nn.Linear(features, 1000)

    def forward(self, images: Tensor) -> Tensor:
        """Score 1000 classes: (batch, 3, height, width) to (batch, 1000)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        scores: Tensor = self.fc(torch.flatten(self.avgpool(x), 1))
        return scores


def _resnet(features: int) -> Callable[..., ResNet]:
    def make(
        pretrained: bool = False,
        progress: bool = True,
        *,
        weights: Weights | str | None = None,
    ) -> ResNet:
        """Make one; whatever weights are asked for are the same."""
        return ResNet(features)

    return make


resnet18, resnet34 = _resnet(512), _resnet(512)
resnet50, resnet101, resnet152 = _resnet(2048), _resnet(2048), _resnet(2048)
