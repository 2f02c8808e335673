"""What vLLM calls in each of its processes: makes fathom's attention known under the name CUSTOM."""

import logging

SUPPORTED_VLLM = "0.32"  # the interface of attention backends changes between versions
BACKEND = "CUSTOM"  # the name that vLLM keeps for a backend from outside
SELECTION = "engine.attention.selection.Selection"

_log = logging.getLogger("vllm.fathom")


def register() -> None:
    """Registers the backend, where this vLLM is the version it was written for and CUSTOM is free."""
    import vllm
    from vllm.v1.attention.backends.registry import AttentionBackendEnum, register_backend

    version = str(vllm.__version__)
    if ".".join(version.split(".")[:2]) != SUPPORTED_VLLM:
        _log.warning("fathom's attention is for vLLM %s, this is %s: not registered", SUPPORTED_VLLM, version)
        return
    custom = AttentionBackendEnum.CUSTOM
    if custom.is_overridden() and custom.get_path() != SELECTION:
        _log.warning(
            "the attention backend CUSTOM is %s already: fathom's is not registered; VLLM_PLUGINS=fathom leaves "
            "other plugins out",
            custom.get_path(),
        )
        return
    register_backend(custom, SELECTION)
