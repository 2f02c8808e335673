"""All variants of the campaign."""

from functools import lru_cache

from .case import Case
from .costly import costly_cases
from .databases import database_cases
from .documents import document_cases
from .folders import folder_cases
from .models import model_cases
from .servers import server_cases


@lru_cache(maxsize=1)
def variants() -> list[Case]:
    """Every variant, by kind; their names differ within a kind."""
    return [*folder_cases(), *database_cases(), *model_cases(), *server_cases(), *document_cases(), *costly_cases()]
