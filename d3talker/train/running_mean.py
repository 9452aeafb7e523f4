"""Exponential running mean of a module's parameters (spec 4.7)."""

import torch
from torch import nn


class RunningMean:
    """Running mean with torch_ema's warm-up: after n updates the mean keeps
    min(decay, (1 + n) / (10 + n)) of itself."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._parameters = list(module.parameters())
        self._decay = decay
        self.means = [p.detach().clone() for p in self._parameters]
        self.updates = 0

    @torch.no_grad()
    def update(self) -> None:
        """Count the parameters as they are now."""
        self.updates += 1
        decay = min(self._decay, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(self.means, [p.detach() for p in self._parameters], 1 - decay)

    @torch.no_grad()
    def apply(self) -> None:
        """Replace the parameters by their mean."""
        for parameter, mean in zip(self._parameters, self.means, strict=True):
            parameter.copy_(mean)
