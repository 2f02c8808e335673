"""What can go wrong with models and engines.

EngineError
├── ModelError              the model is not there or cannot be used
│   ├── ModelMissingError   no such bundled name, folder, file or hub id
│   ├── ModelFetchError     it could not be fetched or converted
│   ├── ModelDamagedError   files do not match their checksums, or are no model
│   ├── ModelUnsupportedError  a sound model of a kind that fathom or its engine does not know
│   └── ModelRefusedError   the folder holds code, pickled weights, or links out of it
├── EngineStartError        vLLM is not installed or did not start
├── EngineUnreachableError  the server of --engine does not answer
├── EngineReplyError        the server answered with an error or something unreadable
├── DeviceError             a GPU that fathom knows nothing of
├── RopeError               a scaling of positions that cannot be, or that an engine has no words for
├── EstimateError           numbers or formats that no estimate can be made of
├── ContextError            more tokens than the model, its scaling or the cache can hold
└── AttentionError          shapes, strides or a device that the attention kernels cannot take
"""


class EngineError(Exception):
    """Base of this room's errors; `hint` is the next step for whoever reads the message."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class ModelError(EngineError):
    """The model is not there or cannot be used."""


class ModelMissingError(ModelError):
    """No such bundled name, folder, file or hub id, or it has not been fetched yet."""


class ModelFetchError(ModelError):
    """The model could not be fetched, or not converted."""


class ModelUnsupportedError(ModelError):
    """A sound model of a kind that fathom or its engine does not know."""


class ModelDamagedError(ModelError):
    """Files of the model do not match their checksums, or are no model."""


class ModelRefusedError(ModelError):
    """The model's folder is more than data: it would run code, or reads what lies elsewhere."""


class EngineStartError(EngineError):
    """vLLM is not installed or did not start."""


class EngineUnreachableError(EngineError):
    """The server does not answer."""


class EngineReplyError(EngineError):
    """The server answered with an error or something unreadable."""


class DeviceError(EngineError):
    """A GPU that fathom knows nothing of."""


class RopeError(EngineError):
    """A RoPE scaling that cannot be, or that an engine's settings cannot say."""


class EstimateError(EngineError):
    """Numbers or formats that no estimate can be made of."""


class ContextError(EngineError):
    """More tokens than the model, its scaling or the KV cache can hold."""


class AttentionError(EngineError):
    """Shapes, dtypes, strides or a device that the attention kernels cannot take."""
