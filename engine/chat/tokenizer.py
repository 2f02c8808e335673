"""Text ↔ tokens of a model folder, its chat template included; control tokens inside a text stay text."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..base import Message
from ..errors import ModelDamagedError, ModelUnsupportedError
from ..surroundings import elsewhere, go_offline
from .control_tokens import defuse, looks_like_control
from .templates import ChatTemplate


class ChatTokenizer:
    """The tokenizer of a model folder, by transformers; the chat template is rendered in a process of its own."""

    def __init__(self, folder: Path) -> None:
        """Raises ModelDamagedError where there is no tokenizer, ModelUnsupportedError where there is no template."""
        folder = folder.absolute()
        try:
            with elsewhere():
                from transformers import AutoTokenizer

                go_offline()
                self._tokenizer: Any = AutoTokenizer.from_pretrained(
                    str(folder), local_files_only=True, trust_remote_code=False
                )
        except Exception as error:  # transformers raises many kinds for a broken folder
            reason = (str(error).splitlines() or [""])[0][:200]
            raise ModelDamagedError(f"the tokenizer in {folder} cannot be read: {reason}", "fetch it again") from error
        if not self._tokenizer.chat_template:
            raise ModelUnsupportedError(f"the model in {folder} has no chat template", "use an instruction-tuned model")
        try:
            self._template = ChatTemplate(str(self._tokenizer.get_chat_template()), folder)
        except ValueError as error:
            raise ModelDamagedError(
                f"the model in {folder} has several chat templates and none named default", "use another model"
            ) from error
        added = self._tokenizer.added_tokens_decoder.values()
        self._control = [
            *self._tokenizer.all_special_tokens,
            *(token.content for token in added if token.special or looks_like_control(token.content)),
        ]

    @property
    def raw(self) -> Any:
        """The transformers tokenizer itself."""
        return self._tokenizer

    def count(self, text: str) -> int:
        """Tokens of a text, without special tokens around it."""
        return len(self._tokenizer.encode(defuse(text, self._control), add_special_tokens=False))

    def render(self, messages: Sequence[Message]) -> list[int]:
        """Token ids of the whole prompt by the model's chat template, up to where the answer begins.

        Raises ModelDamagedError where the template fails or exceeds its limits.
        """
        turns = [{"role": m.role, "content": defuse(m.content, self._control)} for m in messages]
        text = self._template.render(
            {
                **self._tokenizer.special_tokens_map,
                "messages": turns,
                "tools": None,
                "documents": None,
                "add_generation_prompt": True,
            }
        )
        # The template writes the special tokens itself.
        return [int(token) for token in self._tokenizer(text, add_special_tokens=False)["input_ids"]]
