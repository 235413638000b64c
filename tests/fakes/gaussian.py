"""Networks and data whose answers are known in closed form."""

import torch
from torch import Tensor, nn

from difflab.core.base.store.tensors import per_sample
from difflab.ddpm.common.schedule import Schedule

MEAN, STD = 0.3, 0.5


def best_x0(x: Tensor, sigma: Tensor) -> Tensor:
    """E[x0 | x] for pixels N(MEAN, STD^2) and x = x0 + sigma * noise."""
    s = per_sample(sigma, x)
    return MEAN + STD**2 / (STD**2 + s**2) * (x - MEAN)


class PerfectNetwork(nn.Module):
    """A network that predicts exactly what `prediction` asks for on that data, in the network's coordinates."""

    def __init__(self, schedule: Schedule, prediction: str) -> None:
        super().__init__()
        self.schedule, self.prediction = schedule, prediction

    def forward(self, scaled: Tensor, timestep: Tensor, return_dict: bool = False) -> tuple[Tensor]:
        sigma = self.schedule.sigma(timestep)
        s = per_sample(sigma, scaled)
        root = (1 + s**2).rsqrt()
        x = scaled * (1 + s) if self.prediction == "flow" else scaled / root
        x0 = best_x0(x, sigma)
        noise = (x - x0) / s
        return ({"epsilon": noise, "v": root * noise - s * root * x0, "x0": x0, "flow": noise - x0}[self.prediction],)


def samples(count: int, shape: tuple[int, ...] = (1, 8, 8)) -> Tensor:
    return MEAN + STD * torch.randn(count, *shape, generator=torch.Generator().manual_seed(0))
