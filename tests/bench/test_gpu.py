"""The prepared script of the GPU runs every part, at the size of a toy and without a GPU."""

import os
import re
import subprocess
import sys


def test_every_part_runs_on_a_cpu(root):
    environment = {**os.environ, "PYTHONPATH": str(root / "src"), "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(root / "bench" / "gpu.py"), "--tiny"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    parts = (r"LoRA, 64 px, batch 3: [\d.]+ images/s", r"LoRA, 64 px, batch 3, checkpointed: [\d.]+ images/s")
    parts += (r"generation, 28 steps with guidance: [\d.]+ a second", r"caching of latents: [\d.]+ a second")
    parts += (r"caching of prompts: [\d.]+ a second", r"captioning, 20 tokens: [\d.]+ a second")
    for part in (*parts, r"U-Net of CIFAR-10: difflab .* images/s.*; plain diffusers loop .* images/s"):
        assert re.search(part, done.stdout), f"{part} is not in\n{done.stdout}"


def test_without_a_gpu_the_full_sizes_are_refused_in_one_line(root):
    environment = {**os.environ, "PYTHONPATH": str(root / "src"), "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, str(root / "bench" / "gpu.py")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "no NVIDIA GPU is visible: --tiny runs every part at the size of a toy\n"
