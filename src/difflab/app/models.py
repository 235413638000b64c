"""The models of all visitors: loaded once, changed by nobody, and one computes at a time."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from difflab.cli.adapters import known_adapters
from difflab.cli.bases import Base, find_base
from difflab.core.base.runtime import resolve_device, resolve_dtype
from difflab.models.pipelines.prompted import Options, load_prompted

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline

    from difflab.study import Params

Result = TypeVar("Result")


class Models:
    """The bases of the study with their pipelines, and the queue before them.

    Attributes:
        params: of the repository, as they were when the app was started.
    """

    def __init__(self, params: "Params") -> None:
        self.params = params
        self._turn = asyncio.Lock()
        self._loaded: dict[str, tuple[Base, DiffusionPipeline]] = {}
        self._personal: DiffusionPipeline | None = None
        self.waiting = 0

    async def compute(self, work: Callable[..., Result], *args: Any, **kwargs: Any) -> Result:
        """Run `work` in a thread when it is its turn, so that the page stays alive; first come, first served.

        All that touches a pipeline goes through here: `work` may put an adapter on it, and takes it off again.
        """
        self.waiting += 1
        try:
            async with self._turn:
                return await asyncio.to_thread(work, *args, **kwargs)
        finally:
            self.waiting -= 1

    def load(self, denoiser: str) -> "tuple[Base, DiffusionPipeline]":
        """The study's base of a denoiser, "transformer" (Stable Diffusion 3) or "unet"; only within `compute`.

        Raises:
            DifflabError: it has not been trained or fetched yet.
        """
        if denoiser not in self._loaded:
            runtime = self.params.runtime
            base = find_base(None, denoiser, self.params)
            pipeline = base.load(resolve_device(runtime.device), resolve_dtype(runtime.dtype))
            self._loaded[denoiser] = (base, pipeline)
        return self._loaded[denoiser]

    def load_personal(self) -> "tuple[DiffusionPipeline, Options]":
        """The base of `personal` and how it is sampled; only within `compute`."""
        model = self.params.personal.base
        if self._personal is None:
            self._personal = load_prompted(model, self.params.runtime, seed=0, batch_size=1).pipeline
        return self._personal, Options(model.scheduler, model.num_inference_steps, model.guidance_scale)

    @staticmethod
    def adapters() -> list[str]:
        """The folders of the adapters that lie under models/, a cell of trainings as one."""
        return known_adapters()
