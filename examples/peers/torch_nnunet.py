"""A block as nnU-Net has it, 3-d convolutions with instance norm: inference and a training step, without and with."""

import argparse
from timeit import repeat

import torch
from torch import nn

from fastnorm.torch import swap_norms


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small volume, two rounds")
    quick = parser.parse_args().quick
    size, rounds = (16, 2) if quick else (64, 5)

    torch.manual_seed(0)
    model = block(1, 32)
    x = torch.randn(1, 1, size, size, size)
    results = []
    for name in ("without", "with fastnorm"):
        if name == "with fastnorm":
            swap_norms(model)
        with torch.no_grad():
            results.append(model(x))
        inference, training = (
            1e3 * min(repeat(lambda call=call: call(model, x), number=1, repeat=rounds)) for call in (infer, train)
        )
        print(f"{name:14} inference {inference:.1f} ms, training step {training:.1f} ms")
    print(f"largest difference {(results[0] - results[1]).abs().max():.1e}")


def infer(model: nn.Module, x: torch.Tensor) -> None:
    with torch.inference_mode():
        model(x)


def train(model: nn.Module, x: torch.Tensor) -> None:
    model.zero_grad()
    model(x).square().mean().backward()


def block(inputs: int, channels: int) -> nn.Module:
    layers: list[nn.Module] = []
    for before in (inputs, channels):
        layers += [
            nn.Conv3d(before, channels, 3, padding=1),
            nn.InstanceNorm3d(channels, affine=True),
            nn.LeakyReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


if __name__ == "__main__":
    main()
