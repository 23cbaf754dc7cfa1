"""The network of CQT-Diff written plainly: what audiomend.networks.cqtdiff has to beat and to equal.

Idiomatic torch in float32: nn.functional.conv2d on channels-first tensors, one operation a line, no fused
expressions, gradients by autograd alone. It takes the same state dict. The transform is the library's: the
published one goes band by band and is slower, so ratios to this form are smaller than to the published code.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from audiomend.networks.cqtdiff import Architecture
from audiomend.transforms.cqt import Cqt

Weights = dict[str, Tensor]


def plain_cqtdiff(weights: Weights, architecture: Architecture, x: Tensor, c_noise: Tensor) -> Tensor:
    """F (batch, length), as `CqtDiff.forward`."""
    transform = Cqt(architecture.rate, architecture.length, architecture.octaves, architecture.bins)
    levels = len(architecture.widths)
    embedding = noise_embedding(weights, c_noise)
    spectrum = torch.view_as_real(transform.forward(x)).permute(0, 3, 1, 2)

    places = weights["freq_encoding.embeddings"][..., None].expand(len(x), -1, -1, spectrum.shape[-1])
    h = conv(torch.cat((spectrum, places), dim=1), weights["init_conv.weight"], 1)
    pyramid, skips = spectrum, []
    for i in range(levels):
        h = block(h, embedding, weights, f"downs.{i}.0")
        skips.append(h)
        if i < levels - 1:
            kernel = weights[f"downs.{i}.1.resample.kernel"]
            h, pyramid = resample(h, kernel, 2, 1), resample(pyramid, kernel, 2, 1)
            h = (F.conv2d(pyramid, weights[f"downs.{i}.2.conv1x1.weight"]) + h) / math.sqrt(2)
    h = block(h, embedding, weights, "middle.0.0")
    residual = None
    for i in range(levels):
        skip = skips.pop()
        first = (h.shape[-1] - skip.shape[-1]) // 2
        h = torch.cat((h[..., first : first + skip.shape[-1]], skip), dim=1)
        h = block(h, embedding, weights, f"ups.{i}.0")
        more = F.conv2d(h, weights[f"ups.{min(i, levels - 2)}.2.conv1x1.weight"])
        residual = more if residual is None else (residual[..., : more.shape[-1]] + more) / math.sqrt(2)
        if i < levels - 1:
            kernel = weights[f"ups.{i}.1.resample.kernel"]
            h, residual = resample(h, kernel, 1, 2), resample(residual, kernel, 1, 2)
    assert residual is not None
    return transform.inverse(torch.view_as_complex(residual.permute(0, 2, 3, 1).contiguous()))


def noise_embedding(weights: Weights, c_noise: Tensor) -> Tensor:
    turns = 2 * math.pi * c_noise * weights["embedding.RFF_freq"]
    h = torch.cat((turns.sin(), turns.cos()), dim=1)
    for i in range(3):
        h = F.relu(F.linear(h, weights[f"embedding.MLP.{i}.weight"], weights[f"embedding.MLP.{i}.bias"]))
    return h


def block(x: Tensor, embedding: Tensor, weights: Weights, name: str) -> Tensor:
    film = f"{name}.film.output_layer"
    x = x * F.linear(embedding, weights[f"{film}.weight"], weights[f"{film}.bias"])[:, :, None, None]
    y = F.conv2d(F.gelu(x), weights[f"{name}.first_conv.1.weight"])
    for i in range(8):
        y = (y + conv(F.gelu(y), weights[f"{name}.H.{i}.conv.weight"], 2**i)) / math.sqrt(2)
    res = f"{name}.res_conv.weight"
    return (y + (F.conv2d(x, weights[res]) if res in weights else x)) / math.sqrt(2)


def conv(x: Tensor, weight: Tensor, dilation: int) -> Tensor:
    padded = F.pad(x, (1, 1, 2 * dilation, 2 * dilation), mode="reflect")
    return F.conv2d(padded, weight, dilation=(dilation, 1))


def resample(x: Tensor, kernel: Tensor, old: int, new: int) -> Tensor:
    reach = (kernel.shape[-1] - old) // 2
    padded = F.pad(x, (reach, reach + old)).reshape(-1, 1, x.shape[-1] + 2 * reach + old)
    phases = F.conv1d(padded, kernel, stride=old)
    resampled = phases.transpose(1, 2).reshape(*x.shape[:-1], -1)
    return resampled[..., : math.ceil(x.shape[-1] * new / old)]
