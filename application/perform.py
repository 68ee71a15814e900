"""Which use case performs which effect: one table for every worker."""

from application.effects import ForwardRequest, Job
from application.media_requests import MediaRequests


class Performer:
    """Performs the effects of reactors."""

    def __init__(self, media_requests: MediaRequests) -> None:
        self._media_requests = media_requests

    async def perform(self, job: Job) -> None:
        """Perform the job's effect; performing it again changes nothing more."""
        match job.effect:
            case ForwardRequest():
                await self._media_requests.forward_request(job.effect, job)
