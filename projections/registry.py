"""Every read model there is, in one explicit tuple."""

from projections.kernel import AnyReadModel
from projections.media_requests import MEDIA_REQUESTS

READ_MODELS: tuple[AnyReadModel, ...] = (MEDIA_REQUESTS,)
