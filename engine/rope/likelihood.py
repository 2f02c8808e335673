"""How likely a text is to a model under given divisors of its frequencies, by transformers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import ContextError, ModelDamagedError, ModelUnsupportedError
from .config import rotary
from .methods import temperature
from .scaling import RopeScaling

_SLICE = 1024  # tokens whose logits are there at once


class TextLikelihood:
    """A model, windows of a text, and the divisors they are read under.

    Raises ModelDamagedError for a folder without weights, ModelUnsupportedError for a model without one rotary
    embedding for all layers, ContextError for a text too short.
    """

    def __init__(self, folder: Path, config: Any, text: str, tokens: int, windows: int) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self._torch = torch
        self._turns = rotary(config)
        try:
            tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
            gpu = torch.cuda.is_available()
            self._model: Any = AutoModelForCausalLM.from_pretrained(
                str(folder), local_files_only=True, dtype=torch.bfloat16 if gpu else torch.float32
            )
        except (OSError, ValueError) as error:
            raise ModelDamagedError(f"the weights in {folder} cannot be read: {error}", "name a whole model") from error
        self._model.to("cuda" if gpu else "cpu").eval()
        self._embedding: Any = getattr(self._model.model, "rotary_emb", None)
        if not hasattr(self._embedding, "inv_freq"):
            raise ModelUnsupportedError("the model has no one rotary embedding for all layers", "use yarn")
        ids = tokenizer.encode(text, add_special_tokens=False)
        if len(ids) < tokens * windows:
            raise ContextError(
                f"the text has {len(ids):,} tokens, and {windows} windows of {tokens:,} were asked for",
                "give a longer text, or fewer or shorter windows",
            )
        step = len(ids) // windows
        self._windows = [ids[number * step : number * step + tokens] for number in range(windows)]

    def nats(self, factors: Sequence[float], scaling: RopeScaling | None, windows: slice = slice(None)) -> float:
        """Mean negative log likelihood a token over some of the windows; cos and sin are heated as by `scaling`."""
        torch, embedding = self._torch, self._embedding
        divided = self._turns.frequencies() / [float(factor) for factor in factors]
        device = self._model.device
        embedding.inv_freq = torch.tensor(divided, dtype=torch.float32, device=device)
        embedding.attention_scaling = temperature(scaling)
        total, count = 0.0, 0
        for window in self._windows[windows]:
            ids = torch.tensor([window], device=device)
            with torch.no_grad():
                hidden = self._model.model(ids, use_cache=False).last_hidden_state[0, :-1]
                # A vocabulary of logits for every token of a long window does not fit; some at a time do.
                for first in range(0, len(hidden), _SLICE):
                    logits = self._model.lm_head(hidden[first : first + _SLICE]).float()
                    wanted = ids[0, 1:][first : first + _SLICE]
                    total += float(torch.nn.functional.cross_entropy(logits, wanted, reduction="sum"))
            count += len(window) - 1
        return total / count
