"""The prior's network written plainly: the thing that audiomend.networks.patch_unet has to beat and to equal.

Idiomatic torch in float32: torch.stft, nn.functional.conv2d on channels-first tensors, one operation a line,
no batching of work that is not the paper's, no fused expressions. It takes the same state dict.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from audiomend.networks.patch_unet import Architecture, Seen


def plain_prior(
    weights: dict[str, Tensor],
    architecture: Architecture,
    x: Tensor,
    log_level: Tensor,
    bandwidth: Tensor,
    seen: Seen | None = None,
) -> Tensor:
    """F (batch, length), as `PatchUnet.forward`."""
    a = architecture
    short, long = (a.window, a.hop, a.window // 2), (a.long_window, 2 * a.hop, a.window // 4)
    s = log_level.exp() / (1 + log_level.exp() ** 2).sqrt()
    c = 1 / (1 + log_level.exp() ** 2).sqrt()
    spectra = [spectrum(x, *size) / s[:, None, None] for size in (short, long)]
    wiener = [wiener_base(u, log_level, c) for u in spectra]
    state = [state_features(u, s) for u in spectra]
    half, fine_columns = a.window // 4, a.window // 32

    lower = conv(patches(state[0][:, :, :half], 2, 2), weights["stem_lower.weight"], 3)
    upper = conv(patches(state[0][:, :, half:], 2, 8), weights["stem_upper.weight"], 1)
    fine = conv(patches(state[1], 1, 8), weights["stem_fine.weight"], 1)
    lower = lower + F.pad(fine, (0, lower.shape[-1] - fine_columns))
    h = torch.cat((lower, upper), dim=-1)

    centres = torch.cat((torch.arange(half // 2) * 2 + 1, torch.arange(half // 8) * 8 + 4 + half)) / (
        2 * half
    )
    cutoff = torch.zeros_like(bandwidth) if seen is None else seen.cutoff
    for i, limit in enumerate((bandwidth, cutoff)):
        above = (centres > limit[:, None]) & (limit > 0)[:, None]
        h = h + (above.float()[:, :, None] * weights["above"][i]).permute(0, 2, 1)[:, :, None, :]
    h = h + weights["column_bias"].T[None, :, None, :]

    observed = [None, None]
    if seen is not None:
        observed = [spectrum(seen.observation, *size) for size in (short, long)]
        clip = spectrum(seen.clip, *short) * 30
        clip = clip * (1 + clip.abs() ** 2) ** -0.35
        full = torch.cat((seen_features(observed[0]), torch.view_as_real(clip)), dim=-1)
        near = conv(patches(full[:, :, :half], 2, 2), weights["seen_lower.weight"], 1)
        far = conv(patches(full[:, :, half:], 2, 8), weights["seen_upper.weight"], 1)
        fine = conv(patches(seen_features(observed[1]), 1, 8), weights["seen_fine.weight"], 1)
        near = near + F.pad(fine, (0, near.shape[-1] - fine_columns))
        unknown = seen.unknown.reshape(len(x), -1, 2 * a.hop).mean(dim=-1)
        share = torch.stack((unknown, unknown.sqrt()), dim=-1) @ weights["seen_unknown"]
        extra = torch.cat((near, far), dim=-1) + share.permute(0, 2, 1)[:, :, :, None]
        h = h + extra * seen.present[:, None, None, None]

    h = F.relu(unet(h, embedding(weights, log_level, bandwidth, seen), weights, len(a.widths), a.depth))
    lower_out = conv(h[..., : half // 2], weights["out_lower.weight"], 1)
    upper_out = conv(h[..., half // 2 :], weights["out_upper.weight"], 1)
    fine_out = conv(h[..., :fine_columns], weights["out_fine.weight"], 1)
    masks = torch.cat((unpatch(lower_out, 2, 2), unpatch(upper_out, 2, 8)), dim=2)
    share = torch.ones(a.window // 2)
    share[: long[2] * a.window // a.long_window] = 0.5
    total = torch.zeros_like(x)
    outputs = ((masks, share), (unpatch(fine_out, 1, 8), torch.tensor(0.5)))
    for (m, w), u, base, seen_spectrum, size in zip(
        outputs, spectra, wiener, observed, (short, long), strict=True
    ):
        f = (m[..., 0] + w) * base
        f = f + m[..., 1] * u / (1 + u.abs() ** 2 / 16).sqrt()
        if seen_spectrum is not None and seen is not None:
            step = (seen_spectrum - c[:, None, None] * u * s[:, None, None]) / s[:, None, None]
            step = step / (1 + step.abs() ** 2 / 16).sqrt()
            f = f + m[..., 2] * step * seen.present[:, None, None]
        f = f + torch.complex(m[..., 3], m[..., 4])
        total = total + inverse(f, *size)
    return total


def spectrum(x: Tensor, window: int, hop: int, bins: int) -> Tensor:
    """(batch, frames, bins): zero-phase frames turned back to one absolute time, unit noise variance."""
    weight = torch.hann_window(window).sqrt()
    half = window // 2
    padded = torch.cat((x[:, -half:], x, x[:, : half - hop]), dim=-1)
    frames = torch.stft(padded, window, hop, window, weight, center=False, return_complex=True)
    frames = frames[:, :bins].transpose(1, 2)
    starts = torch.arange(frames.shape[1], dtype=torch.float64) * hop - half
    turn = -2 * math.pi * starts[:, None] * torch.arange(bins) / window
    return frames * torch.exp(1j * turn).to(torch.complex64) * math.sqrt(2 / weight.square().sum())


def inverse(f: Tensor, window: int, hop: int, bins: int) -> Tensor:
    """The adjoint of `spectrum`, scaled so that it undoes it."""
    weight = torch.hann_window(window).sqrt()
    starts = torch.arange(f.shape[1], dtype=torch.float64) * hop - window // 2
    turn = 2 * math.pi * starts[:, None] * torch.arange(bins) / window
    frames = torch.fft.irfft(f * torch.exp(1j * turn).to(torch.complex64), n=window)
    frames = frames * weight * math.sqrt(2 / weight.square().sum()) * hop / 2
    length = f.shape[1] * hop
    y = torch.zeros(f.shape[0], length)
    for n in range(f.shape[1]):
        y[:, (torch.arange(window) + n * hop - window // 2) % length] += frames[:, n]
    return y


def wiener_base(u: Tensor, log_level: Tensor, c: Tensor) -> Tensor:
    q = u.abs() ** 2 / 2
    smooth = (q.roll(1, 1) + q + q.roll(-1, 1)) / 3
    threshold = 2.5 + 1.5 * torch.log2(1 + log_level.exp())
    gain = torch.clamp(1 - threshold[:, None, None] / (q / 2 + smooth / 2).clamp_min(1e-9), min=0)
    return u * (gain - c[:, None, None] ** 2) / c[:, None, None]


def state_features(u: Tensor, s: Tensor) -> Tensor:
    plain = torch.view_as_real(u * s[:, None, None]) / 2
    power = u.abs() ** 2
    compressed = torch.view_as_real(u * (1 + power) ** -0.35)
    return torch.cat((plain, compressed, 0.25 * torch.log(1 + power)[..., None]), dim=-1)


def seen_features(observed: Tensor) -> Tensor:
    scaled = observed * 30
    power = scaled.abs() ** 2
    compressed = torch.view_as_real(scaled * (1 + power) ** -0.35)
    return torch.cat((compressed, 0.25 * torch.log(1 + power)[..., None]), dim=-1)


def patches(x: Tensor, frames: int, bins: int) -> Tensor:
    """(batch, frames, bins, features) -> (batch, frames * bins * features, rows, columns)."""
    batch, n, k, features = x.shape
    x = x.reshape(batch, n // frames, frames, k // bins, bins, features)
    return x.permute(0, 2, 4, 5, 1, 3).reshape(batch, frames * bins * features, n // frames, k // bins)


def unpatch(x: Tensor, frames: int, bins: int) -> Tensor:
    batch, size, rows, columns = x.shape
    x = x.reshape(batch, frames, bins, size // (frames * bins), rows, columns)
    return x.permute(0, 4, 1, 5, 2, 3).reshape(batch, rows * frames, columns * bins, -1)


def conv(x: Tensor, weight: Tensor, size: int) -> Tensor:
    kernel = weight.reshape(weight.shape[0], size, size, -1).permute(0, 3, 1, 2).contiguous()
    return F.conv2d(x, kernel, padding=size // 2)


def block(x: Tensor, steer: Tensor, weights: dict[str, Tensor], name: str) -> Tensor:
    scale_shift = F.linear(steer, weights[f"{name}.modulation.weight"], weights[f"{name}.modulation.bias"])
    scale, shift = scale_shift[:, :, None, None].chunk(2, dim=1)
    h = conv(F.relu(x), weights[f"{name}.first.weight"], 3)
    h = F.relu(h * (1 + scale) + shift)
    return x + conv(h, weights[f"{name}.second.weight"], 3)


def unet(h: Tensor, steer: Tensor, weights: dict[str, Tensor], levels: int, depth: int) -> Tensor:
    skips = []
    for i in range(levels - 1):
        for place in range(depth):
            h = block(h, steer, weights, f"encoder.{place * (levels - 1) + i}")
        skips.append(h)
        kernel = weights[f"down.{i}.weight"].reshape(-1, 2, 2, h.shape[1]).permute(0, 3, 1, 2)
        h = F.conv2d(h, kernel, stride=2)
    for i in range(2):
        h = block(h, steer, weights, f"middle.{i}")
    for i in reversed(range(levels - 1)):
        kernel = weights[f"up.{i}.weight"].reshape(2, 2, -1, h.shape[1]).permute(3, 2, 0, 1)
        h = F.conv_transpose2d(h, kernel, stride=2) + skips.pop()
        for place in range(depth):
            h = block(h, steer, weights, f"decoder.{place * (levels - 1) + i}")
    return h


def embedding(weights: dict[str, Tensor], log_level: Tensor, bandwidth: Tensor, seen: Seen | None) -> Tensor:
    turns = log_level[:, None] * weights["embedding.frequencies"]
    zeros = torch.zeros_like(bandwidth)
    cutoff, present = (zeros, zeros) if seen is None else (seen.cutoff, seen.present)
    known = torch.stack((bandwidth, (bandwidth > 0).float(), cutoff, (cutoff > 0).float(), present), dim=1)
    h = torch.cat((turns.sin(), turns.cos(), log_level[:, None] / 4, known), dim=1)
    h = F.silu(F.linear(h, weights["embedding.layers.0.weight"], weights["embedding.layers.0.bias"]))
    return F.silu(F.linear(h, weights["embedding.layers.2.weight"], weights["embedding.layers.2.bias"]))
