"""Real3D-Portrait's network from sound to expressions of the Basel Face Model (spec 5.1).

HuBERT's features and the pitch become a condition at 25 Hz; noise passes backwards through a flow
that the condition steers, and a decoder makes 64 expression coefficients of it. Modules are named
as in the published checkpoint, whose weight normalisation is multiplied out when it is read. Its
encoder, which only training needs, is left out.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from d3talker.artifacts import ArtifactError
from d3talker.metrics.weights import UNREADABLE, refusal
from d3talker.motion.settings import Real3dPortraitSettings
from d3talker.speech.pitch import coarse

HUBERT = 1024
WIDTH = 128  # of each part of the condition, and of the condition
PITCHES = 300  # entries of the pitch embedding, of which 1..255 are used
LATENT, EXPRESSIONS = 16, 64
HIDDEN, KERNEL, DECODER_LAYERS = 256, 5, 4
FLOW_HIDDEN, FLOW_KERNEL, FLOW_LAYERS, FLOWS = 64, 3, 4, 4
STRIDE = 4  # frames to one step of the latent
ROWS = 8  # of HuBERT at 50 Hz, to one step of the latent
# Names and shapes of what is read of the checkpoint, as data.
MANIFEST = Path(__file__).with_name("audio2secc.json")


class WaveNet(nn.Module):
    """Gated convolutions, steered by a condition: x (B,H,T), g (B,WIDTH,T) -> (B,H,T)."""

    def __init__(self, hidden: int, kernel: int, layers: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.cond_layer = nn.Conv1d(WIDTH, 2 * hidden * layers, 1)
        self.in_layers = nn.ModuleList(
            nn.Conv1d(hidden, 2 * hidden, kernel, padding=kernel // 2) for _ in range(layers)
        )
        outs = [2 * hidden] * (layers - 1) + [hidden]  # the last one only adds to the output
        self.res_skip_layers = nn.ModuleList(nn.Conv1d(hidden, out, 1) for out in outs)

    def forward(self, x: Tensor, g: Tensor) -> Tensor:
        output = torch.zeros_like(x)
        steered = self.cond_layer(g).split(2 * self.hidden, dim=1)
        for layer, both, by in zip(self.in_layers, self.res_skip_layers, steered, strict=True):
            value, gate = (layer(x) + by).chunk(2, dim=1)
            made = both(torch.tanh(value) * torch.sigmoid(gate))
            x = x + made[:, : self.hidden]
            output = output + made[:, -self.hidden :]
        return output


class Coupling(nn.Module):
    """One half of the channels moves the other, by a mean alone."""

    def __init__(self) -> None:
        super().__init__()
        self.pre = nn.Conv1d(LATENT // 2, FLOW_HIDDEN, 1)
        self.enc = WaveNet(FLOW_HIDDEN, FLOW_KERNEL, FLOW_LAYERS)
        self.post = nn.Conv1d(FLOW_HIDDEN, LATENT // 2, 1)

    def backwards(self, x: Tensor, g: Tensor) -> Tensor:
        first, second = x.chunk(2, dim=1)
        return torch.cat([first, second - self.post(self.enc(self.pre(first), g))], dim=1)


class Flip(nn.Module):
    """Turns the order of the channels round."""

    def backwards(self, x: Tensor, g: Tensor) -> Tensor:
        return x.flip(1)


class PriorFlow(nn.Module):
    """From noise to the latent: couplings and flips, backwards."""

    def __init__(self) -> None:
        super().__init__()
        self.flows = nn.ModuleList(part() for _ in range(FLOWS) for part in (Coupling, Flip))

    def backwards(self, x: Tensor, g: Tensor) -> Tensor:
        for flow in reversed(self.flows):
            x = flow.backwards(x, g)
        return x


class Decoder(nn.Module):
    """Latent (B,16,T/4) and condition (B,WIDTH,T) -> expressions (B,64,T)."""

    def __init__(self) -> None:
        super().__init__()
        self.pre_net = nn.Sequential(nn.ConvTranspose1d(LATENT, HIDDEN, STRIDE, stride=STRIDE))
        self.wn = WaveNet(HIDDEN, KERNEL, DECODER_LAYERS)
        self.out_proj = nn.Conv1d(HIDDEN, EXPRESSIONS, 1)

    def forward(self, z: Tensor, g: Tensor) -> Tensor:
        return self.out_proj(self.wn(self.pre_net(z), g))


class FlowVae(nn.Module):
    """What of the variational autoencoder runs without its encoder."""

    def __init__(self) -> None:
        super().__init__()
        self.g_pre_net = nn.Sequential(
            nn.Conv1d(WIDTH, WIDTH, 2 * STRIDE, stride=STRIDE, padding=STRIDE // 2)
        )
        self.prior_flow = PriorFlow()
        self.decoder = Decoder()


def listener(channels: int) -> nn.Sequential:
    """Two convolutions over time: (B,channels,T) -> (B,WIDTH,T)."""
    return nn.Sequential(
        nn.Conv1d(channels, WIDTH, 3, padding=1, bias=False),
        nn.BatchNorm1d(WIDTH),
        nn.GELU(),
        nn.Conv1d(WIDTH, WIDTH, 3, padding=1, bias=False),
    )


class Audio2Secc(nn.Module):
    """HuBERT features and pitch at 50 Hz -> expression coefficients at 25 Hz."""

    def __init__(self) -> None:
        super().__init__()
        self.mel_encoder = listener(HUBERT)
        self.pitch_embed = nn.Embedding(PITCHES, WIDTH)
        self.pitch_encoder = listener(WIDTH)
        self.blink_embed = nn.Embedding(2, WIDTH)
        self.mouth_amp_embed = nn.Parameter(torch.zeros(WIDTH))
        self.cond_proj = nn.Linear(4 * WIDTH, WIDTH)
        self.vae = FlowVae()
        self.requires_grad_(False).eval()

    def condition(self, hubert: Tensor, pitch: Tensor, mouth_amplitude: float) -> Tensor:
        """g (1,WIDTH,T) of hubert (2T,1024) and coarse pitch (2T,), eyes open."""
        frames = len(hubert) // 2
        parts = [
            self.mel_encoder(hubert[::2].T[None]),
            self.pitch_encoder(self.pitch_embed(pitch[::2]).T[None]),
            self.blink_embed.weight[0][None, :, None].expand(1, WIDTH, frames),
            (mouth_amplitude * self.mouth_amp_embed)[None, :, None].expand(1, WIDTH, frames),
        ]
        return self.cond_proj(torch.cat(parts, dim=1).transpose(1, 2)).transpose(1, 2)

    def forward(self, hubert: Tensor, pitch: Tensor, noise: Tensor, amplitude: float) -> Tensor:
        """Expressions (T,64); 2T rows, a multiple of 8, and noise (1,16,T/4)."""
        g = self.condition(hubert, pitch, amplitude)
        z = self.vae.prior_flow.backwards(noise, self.vae.g_pre_net(g))
        return self.vae.decoder(z, g)[0].T


def manifest() -> dict[str, tuple[int, ...]]:
    """Shapes by name of the tensors of the checkpoint that are read."""
    return {name: tuple(shape) for name, shape in json.loads(MANIFEST.read_text()).items()}


def _state(found: object) -> Mapping[str, Tensor]:
    """The network's tensors in a checkpoint, which holds optimisers and counters as well."""
    state = found
    for key in ("state_dict", "model"):
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    if not isinstance(state, Mapping):
        raise ArtifactError("it holds no tensors by name")
    return state


def load_audio2secc(path: str | Path) -> Audio2Secc:
    """The network in a published checkpoint. Raises ArtifactError for any other file."""
    try:
        state = _state(torch.load(path, map_location="cpu", weights_only=True))
        for name, shape in manifest().items():
            if name not in state:
                raise ArtifactError(f"lacks {name}")
            if tuple(state[name].shape) != shape:
                raise ArtifactError(f"{name} is {tuple(state[name].shape)}, not {shape}")
        network, plain = Audio2Secc(), {}
        for name in manifest():
            stem, _, last = name.rpartition(".")
            if last == "weight_v":
                v, g = state[name].float(), state[f"{stem}.weight_g"].float()
                plain[f"{stem}.weight"] = v * (g / v.flatten(1).norm(dim=1)[:, None, None])
            elif last != "weight_g":
                plain[name] = state[name]
        plain |= {n: torch.zeros(()) for n in network.state_dict() if n.endswith("_tracked")}
        network.load_state_dict(plain)
    except UNREADABLE as error:
        raise refusal(path, "audio2secc_vae", error) from error
    return network.float().requires_grad_(False).eval()


@torch.no_grad()
def predict(
    network: Audio2Secc,
    hubert: np.ndarray,
    frequency: np.ndarray,
    frames: int,
    settings: Real3dPortraitSettings,
    seed: int,
) -> np.ndarray:
    """Expressions (frames,64) float32 of hubert (n,1024) and pitch (n,) Hz, both at 50 Hz.

    Rows of zeros fill up the last step of the latent; what is longer than the video is cut off.
    """
    wanted = max(len(hubert), 2 * frames)
    more = -wanted % ROWS + wanted - len(hubert)
    rows = torch.from_numpy(np.pad(hubert.astype(np.float32), ((0, more), (0, 0))))
    pitch = torch.from_numpy(coarse(np.pad(frequency, (0, more))))
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn((1, LATENT, len(rows) // ROWS), generator=generator)
    found = network(rows, pitch, settings.temperature * noise, settings.mouth_amplitude)
    return found[:frames].numpy()
