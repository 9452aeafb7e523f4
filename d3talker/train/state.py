"""The state of a training as named tensors, from which it goes on to the same bits.

People are numbered in the order in which they are given. A phase that goes on takes two steps:
avatars and poses before it begins, the rest when it has made its optimisers.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from d3talker.avatar import SETS
from d3talker.splat.gaussians import Gaussians
from d3talker.train.checkpoint import load_module, part
from d3talker.train.curves import Meter
from d3talker.train.person import Person
from d3talker.train.run import Saved
from d3talker.train.running_mean import RunningMean


def prefixed(name: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors, with `name.` before their names: the inverse of `part`."""
    return {f"{name}.{key}": tensor for key, tensor in tensors.items()}


def avatars_state(people: list[Person]) -> dict[str, Tensor]:
    """Gaussians, fields and poses of all people; the General field, which they share, once."""
    state = {}
    for k, person in enumerate(people):
        for name in SETS:
            state |= prefixed(f"{k}.{name}", getattr(person.avatar, name).tensors())
        if person.avatar.individual is not None:
            state |= prefixed(f"{k}.individual", person.avatar.individual.state_dict())
        if person.poses is not None:
            state |= prefixed(f"{k}.poses", person.poses.tensors())
    if people[0].avatar.general is not None:
        state |= prefixed("general", people[0].avatar.general.state_dict())
    return state


def load_avatars(people: list[Person], state: dict[str, Tensor]) -> None:
    """Inverse of `avatars_state`, in place."""
    for k, person in enumerate(people):
        avatar, device = person.avatar, person.avatar.device
        for name in SETS:
            gaussians = Gaussians(part(state, f"{k}.{name}"))
            gaussians.to(device)
            setattr(avatar, name, gaussians)
        if avatar.individual is not None:
            load_module(avatar.individual, part(state, f"{k}.individual"))
        if person.poses is not None:
            for name, tensor in person.poses.tensors().items():
                tensor.copy_(state[f"{k}.poses.{name}"])
    if people[0].avatar.general is not None:
        load_module(people[0].avatar.general, part(state, "general"))


@dataclass
class PhaseState:
    """What changes from one iteration to the next, but for avatars and poses."""

    people: list[Person]  # their queues and density statistics
    optimizers: dict[str, Optimizer]
    rng: np.random.Generator
    meter: Meter
    average: RunningMean | None = None

    def tensors(self) -> dict[str, Tensor]:
        """All that is a tensor, by name."""
        state = dict(self._of_known_shape())
        for name, optimizer in self.optimizers.items():
            for index, moments in optimizer.state_dict()["state"].items():
                state |= prefixed(f"optimizers.{name}.{index}", moments)
        state["random"] = torch.get_rng_state()
        if self._device.type == "cuda":
            state["random_cuda"] = torch.cuda.get_rng_state(self._device)
        return state

    def values(self) -> dict:
        """The rest, as JSON has it."""
        return {
            "rng": self.rng.bit_generator.state,
            "meter": self.meter.values,
            "queues": [person.queue for person in self.people],
            "updates": self.average.updates if self.average else 0,
        }

    def load(self, saved: Saved) -> int:
        """Inverse of `tensors` and `values`, in place; returns the iteration to go on with."""
        for name, tensor in self._of_known_shape():
            tensor.copy_(saved.tensors[name])
        for name, optimizer in self.optimizers.items():
            moments: dict[int, dict[str, Tensor]] = {}
            for key, tensor in part(saved.tensors, f"optimizers.{name}").items():
                index, moment = key.split(".")
                moments.setdefault(int(index), {})[moment] = tensor
            optimizer.load_state_dict(optimizer.state_dict() | {"state": moments})
        torch.set_rng_state(saved.tensors["random"])
        if self._device.type == "cuda":
            torch.cuda.set_rng_state(saved.tensors["random_cuda"], self._device)
        self.rng.bit_generator.state = saved.values["rng"]
        self.meter.values = saved.values["meter"]
        for person, queue in zip(self.people, saved.values["queues"], strict=True):
            person.queue = queue
        if self.average:
            self.average.updates = saved.values["updates"]
        return saved.iteration

    @property
    def _device(self) -> torch.device:
        return self.people[0].avatar.device

    def _of_known_shape(self) -> Iterator[tuple[str, Tensor]]:
        """Tensors whose shapes follow from the avatars."""
        for k, person in enumerate(self.people):
            for name, stats in zip(SETS, person.density or (), strict=False):
                for key in ("gradient_norm", "visible", "radius"):
                    yield f"{k}.density.{name}.{key}", getattr(stats, key)
        for i, mean in enumerate(self.average.means if self.average else ()):
            yield f"mean.{i}", mean
