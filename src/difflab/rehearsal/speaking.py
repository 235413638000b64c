"""A Gemma of random weights that gives every title the same three variations: what follows it needs some that can be read.

Its last layer is a table: with the answer's lines as single tokens, each token leads to the next whatever came before.
"""

import itertools
from typing import TYPE_CHECKING

from difflab.models.language.prompt_tokens import chat_ids
from difflab.models.title_variations import messages

if TYPE_CHECKING:
    from transformers import Gemma3ForCausalLM, PreTrainedTokenizerBase

LINES = ("1. Braised Lentils with Lemon\n", "2. Slow Cooked Lentil Stew\n", "3. Warm Lentil Bowl")
END = "<end_of_turn>"
_LOGIT = 60.0  # of the token that comes next; those of all others are a few units wide


def teach_tokens(tokenizer: "PreTrainedTokenizerBase") -> None:
    """Make each line of the answer one token."""
    from tokenizers import AddedToken

    tokenizer.add_tokens([AddedToken(line, normalized=False) for line in LINES])


def speak(model: "Gemma3ForCausalLM", tokenizer: "PreTrainedTokenizerBase") -> None:
    """Let the model answer a title with `LINES` and end its turn.

    Nothing but the last layer's multilayer perceptron adds to the residual stream. Its first neurons see one token each,
    by its embedding, and write the embedding of the next, which the tied head reads.
    """
    import torch

    start = chat_ids(tokenizer, messages("Soup"))[-1]
    chain = [start, *tokenizer.convert_tokens_to_ids([*LINES, END])]
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        embeddings, mlp = model.model.embed_tokens.weight, model.model.layers[-1].mlp
        unit = embeddings / embeddings.float().pow(2).mean(-1, keepdim=True).sqrt().clamp_min(1e-6).to(embeddings.dtype)
        width = embeddings.shape[1]
        mlp.gate_proj.weight.zero_()
        mlp.up_proj.weight.zero_()
        for neuron, (token, following) in enumerate(itertools.pairwise(chain)):
            mlp.gate_proj.weight[neuron] = 8 * unit[token] / width
            mlp.up_proj.weight[neuron] = unit[token] / width
            mlp.down_proj.weight[:, neuron] = unit[following]
        spread = float(embeddings.float().std())
        model.model.layers[-1].post_feedforward_layernorm.weight.fill_(8.0)  # louder than the token itself
        model.model.norm.weight.fill_(_LOGIT / (width * spread) - 1)  # Gemma's norms multiply by 1 + weight
