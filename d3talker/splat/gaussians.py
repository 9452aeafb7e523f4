"""A set of 3D Gaussians: raw parameters, their activations, optimiser and density control.

Raw values and activations follow spec 3.1: scales are softplus of the raw value, opacities
sigmoid, quaternions normalised when rendered. Colours are view-independent RGB.
"""

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor
from torch.nn import functional as F

ATTRIBUTES = ("means", "quats", "scales", "opacities", "colors")


class Gaussians:
    """Trainable raw tensors of N Gaussians, and their Adam state through density changes.

    means (N,3) m, quats (N,4), scales (N,3) before softplus, opacities (N,) before sigmoid,
    colors (N,3). `mobility` (N,) in [0,1] is a fixed weight that children inherit: how far a
    deformation field may move the Gaussian.
    """

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        self.mobility = tensors["mobility"]
        for name in ATTRIBUTES:
            setattr(self, name, tensors[name].float().contiguous().requires_grad_())
        self.optimizer: torch.optim.Adam | None = None

    @classmethod
    def from_points(cls, points: np.ndarray, colors: np.ndarray, opacity: float) -> "Gaussians":
        """Isotropic Gaussians at `points` (N,3) m, as large as the gap to their neighbours."""
        distance = cKDTree(points).query(points, k=min(4, len(points)))[0][:, 1:]
        size = np.sqrt((distance**2).mean(axis=1)).clip(3e-4, 8e-3)
        n = len(points)
        return cls(
            {
                "means": torch.tensor(points, dtype=torch.float32),
                "quats": torch.tensor([1.0, 0.0, 0.0, 0.0]).repeat(n, 1),
                "scales": torch.tensor(np.log(np.expm1(size)), dtype=torch.float32)[:, None].repeat(
                    1, 3
                ),
                "opacities": torch.full((n,), float(np.log(opacity / (1 - opacity)))),
                "colors": torch.tensor(colors, dtype=torch.float32),
                "mobility": torch.ones(n),
            }
        )

    def __len__(self) -> int:
        return len(self.means)

    def tensors(self) -> dict[str, Tensor]:
        """Raw tensors by attribute name, and `mobility`."""
        return {name: getattr(self, name) for name in ATTRIBUTES} | {"mobility": self.mobility}

    def activated(self, changes: dict[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Arguments of `rasterize`, with `changes` of raw attributes added (eq. 8)."""
        raw = {name: getattr(self, name) for name in ATTRIBUTES}
        for name, change in (changes or {}).items():
            raw[name] = raw[name] + change
        return activate(raw)

    def to(self, device: torch.device | str) -> None:
        """Bring all tensors to `device`; before the optimiser is made."""
        self.mobility = self.mobility.to(device)
        for name in ATTRIBUTES:
            setattr(self, name, getattr(self, name).detach().to(device).requires_grad_())

    def make_optimizer(self, learning_rates: dict[str, float]) -> None:
        """Adam over all attributes, `learning_rates` by attribute name (eps of spec 3.1)."""
        self.optimizer = torch.optim.Adam(
            [
                {"params": [getattr(self, name)], "lr": learning_rates[name], "name": name}
                for name in ATTRIBUTES
            ],
            eps=1e-15,
            fused=True,
        )

    @torch.no_grad()
    def opacity(self) -> Tensor:
        """(N,) from 0 to 1."""
        return torch.sigmoid(self.opacities)

    @torch.no_grad()
    def size(self) -> Tensor:
        """(N,) the largest standard deviation, m."""
        return F.softplus(self.scales).amax(1)

    @torch.no_grad()
    def limit_opacities(self, highest: float) -> None:
        """Lower all opacities to `highest` and forget their moments (spec 3.4)."""
        self.opacities.clamp_(max=float(np.log(highest / (1 - highest))))
        for name, moment in self.optimizer.state[self.opacities].items():
            if name != "step":
                moment.zero_()

    @torch.no_grad()
    def densify(
        self, gradient: Tensor, threshold: float, split_size: float, limit: int, keep: Tensor
    ) -> None:
        """Remove all but those to `keep` (N,) bool, then add up to `limit`.

        Those whose `gradient` (N,) is above `threshold` are cloned, or split in two if they are
        larger than `split_size`, m.
        """
        size, keep = self.size(), keep.clone()
        candidates = torch.nonzero(keep & (gradient > threshold))[:, 0]
        room = max(0, limit - int(keep.sum()))
        candidates = candidates[gradient[candidates].argsort(descending=True)[:room]]
        large = size[candidates] > split_size
        clones, splits = candidates[~large], candidates[large]
        keep[splits] = False
        children = {
            name: torch.cat([value[clones], value[splits], value[splits]])
            for name, value in self.tensors().items()
        }
        halves = slice(len(clones), None)
        spread = F.softplus(children["scales"][halves])
        offset = torch.randn_like(spread) * spread
        children["means"][halves] += rotate(children["quats"][halves], offset)
        children["scales"][halves] = torch.log(torch.expm1(spread / 1.6))
        self._replace(torch.nonzero(keep)[:, 0], children)

    def _replace(self, kept: Tensor, added: dict[str, Tensor]) -> None:
        """Keep rows `kept` with their Adam moments; append rows `added` with moments of zero."""
        self.mobility = torch.cat([self.mobility[kept], added["mobility"]])
        groups = {group["name"]: group for group in self.optimizer.param_groups}
        for name in ATTRIBUTES:
            old = getattr(self, name)
            state = self.optimizer.state.pop(old, {})
            new = torch.cat([old.detach()[kept], added[name].detach()]).requires_grad_()
            for moment in ("exp_avg", "exp_avg_sq"):
                if moment in state:
                    state[moment] = torch.cat([state[moment][kept], torch.zeros_like(added[name])])
            if state:
                self.optimizer.state[new] = state
            groups[name]["params"] = [new]
            setattr(self, name, new)


def activate(raw: dict[str, Tensor]) -> dict[str, Tensor]:
    """What `rasterize` wants, of raw attributes by name; `rasterize` normalises quaternions."""
    activations = {
        "scales": F.softplus,
        "opacities": torch.sigmoid,
        "colors": lambda colors: colors.clamp(0, 1.2),
    }
    return {
        name: activations[name](values) if name in activations else values
        for name, values in raw.items()
    }


def rotate(quats: Tensor, vectors: Tensor) -> Tensor:
    """Rotate `vectors` (N,3) by `quats` (N,4) wxyz, not necessarily of unit length."""
    q = F.normalize(quats, dim=1)
    w, u = q[:, :1], q[:, 1:]
    cross = 2 * torch.linalg.cross(u, vectors)
    return vectors + w * cross + torch.linalg.cross(u, cross)
