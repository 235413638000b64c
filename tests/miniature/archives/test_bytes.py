"""The archives are the same bytes on every processor, whatever was built before them, and others for another seed."""

import os
import subprocess
import sys

import pytest
from stages.images import acquire, acquire_images

from difflab.core.base.files import sha256_file

BUILDERS = acquire.BUILDERS | acquire_images.BUILDERS
GOLDEN = {
    "celeba_hq": "824f4a5d97792fe4eac726139826641d3857432cc7841d987513c0ded386573d",
    "celeba": "07a686153223ac417d5619dabbeada8614910b797419fa1e2a50d5d4e8ded516",
    "cifar10": "598cdebae85c3edee64c2ae1f8a806da81f814347f0f901cef625ac8f957dadf",
    "mnist": "23b7d40433d9d3d31fe100b78fb2af7325bb5bd21fcf3ca0f0479106cef12e7e",
    "scenes": "a5f1dea6c3ea78c05fd8522588d228f961c9c4297e8e60d9627da642cedc4589",
    "coco": "379c5d51fa6262838e0c7c857f71c5588bbc3a357c623f8ceee6f7a8c4f6ea13",
    "recipes": "3dc153261f8e68a00450d0140502b5025ef66cd4b02be8bca03948f8884b9bda",
    "subjects": "5ec42624540c6ff0670848e1f4f47d1fa17842a10232b6e19698a1a3de0f81a6",
}
"""Of seed 0, with the libraries of requirements.lock: only another one (Pillow's JPEG encoder, say) may change them."""

_BUILD = """
import sys
from pathlib import Path
from difflab.core.base.files import sha256_file
from stages.images.acquire_images import BUILDERS
for archive in sys.argv[2:]:
    BUILDERS[archive](Path(sys.argv[1]) / archive, 0)
    print(archive, sha256_file(Path(sys.argv[1]) / archive))
"""


def vector_code() -> str:
    """The instruction sets of this processor that numpy uses beyond those of its every loop."""
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

    return " ".join(name for name in __cpu_dispatch__ if __cpu_features__.get(name))


@pytest.mark.parametrize("archive", GOLDEN)
def test_an_archive_is_the_same_bytes_as_ever(archive, tmp_path):
    BUILDERS[archive](tmp_path / "0", 0)
    assert sha256_file(tmp_path / "0") == GOLDEN[archive]


@pytest.mark.parametrize("archive", sorted(set(GOLDEN) - {"cifar10"}))  # it takes long, and is drawn as the scenes
def test_another_seed_gives_another_archive(archive, tmp_path):
    BUILDERS[archive](tmp_path / "1", 1)
    assert sha256_file(tmp_path / "1") != GOLDEN[archive]


@pytest.mark.parametrize(
    ("archives", "settings"),
    [
        (["mnist"], {}),
        (["coco", "recipes", "mnist", "scenes"], {}),
        (["recipes"], {"OPENBLAS_CORETYPE": "Haswell", "ATEN_CPU_CAPABILITY": "default"}),
        (["coco", "recipes"], {"OPENBLAS_CORETYPE": "Prescott", "MKL_CBWR": "COMPATIBLE"}),
        (["mnist", "recipes"], {"NPY_DISABLE_CPU_FEATURES": vector_code()}),
        (["scenes", "recipes"], {"JSIMD_FORCENONE": "1", "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA"}),
    ],
    ids=lambda value: "-".join(value) or "default",
)
def test_archives_built_as_by_another_processor_are_the_same_bytes(archives, settings, root, tmp_path):
    """Each variable takes a library (BLAS, numpy, the C library, libjpeg-turbo) to its code for other processors."""
    environment = os.environ | {"PYTHONPATH": f"{root}/src:{root}"} | settings
    command = [sys.executable, "-c", _BUILD, str(tmp_path), *archives]
    out = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert dict(line.split() for line in out.splitlines()) == {archive: GOLDEN[archive] for archive in archives}
