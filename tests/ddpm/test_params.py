"""Lists of training seeds that cannot be trained or compared are refused by one line, before anything runs."""

import pytest

from difflab.cli.compose import compose, validate
from difflab.core.base.errors import DifflabError


def ddpm(root, *overrides):
    return validate(compose(list(overrides), root / "conf"), "params.yaml").ddpm


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("denoise.seeds=[1,1]", "parameter 'denoise.seeds': 1 is listed twice"),
        ("denoise.seeds=[]", "parameter 'denoise.seeds': .* should have at least 1 item"),
        ("ddpm.common.seeds=[0,-1]", "seeds.1': Input should be greater than or equal to 0"),
        ("ddpm.common.seeds=[2,2]", "seeds': 2 is listed twice"),
        ("+ddpm.latent.seeds=[0]", r"latent\.seeds has 1 and single_class\.seeds 2: .* give both equally many"),
        ("+ddpm.single_image_64.seeds=[0]", r"single_image_64\.seeds has 1 and single_image_32\.seeds 2"),
    ],
)
def test_seeds_that_give_no_interval_are_refused(root, override, message):
    with pytest.raises(DifflabError, match=message):
        ddpm(root, override)


def test_single_images_may_be_trained_less_often_than_the_settings_with_distances(root):
    params = ddpm(root, "+ddpm.single_image_32.seeds=[0]", "+ddpm.single_image_64.seeds=[5]")
    assert (params.single_image_64.seeds, params.text.seeds) == ([5], [0, 1])
