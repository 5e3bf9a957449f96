"""POST /summarize: a router of its own, which an application has when its process has a summarizer."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from serving import api, asking, contract
from serving.backlog import Lane
from serving.described import about
from serving.service import SUMMARIZE, Service, SummarizerSeat
from serving.summaries.api import SummarizeRequest, SummarizeResponse, settings, written

SCHEMAS = (SummarizeRequest, SummarizeResponse)


class Routes:
    """Of summaries."""

    def __init__(self, service: Service, seat: SummarizerSeat) -> None:
        self._service, self._seat = service, seat

    async def summarize(self, request: Request) -> Response:
        """Summarize a few texts, each by itself."""
        service, config = self._service, self._service.config
        with service.summary_memory.request() as grow:
            service.require_running()
            self._seat.require()
            claim = asking.claim(request, config, Lane.BULK)
            asked = api.parse(SummarizeRequest, await asking.body(request, config, grow, claim))
            asking.bounded(asked.texts, config.max_summary_texts, config.max_chars)
            service.require_running()
            with self._seat.use() as desk, asking.watched(request, claim):
                answer = await desk.summarize(asked.texts, settings(asked, desk.model.manifest.generation), claim)
            return Response(written(answer), 200, about(answer.model), asking.JSON)


def routers(service: Service) -> list[APIRouter]:
    """None when the process has no summarizer."""
    if service.summarizer is None:
        return []
    router = APIRouter(tags=["summaries"])
    router.add_api_route(
        SUMMARIZE,
        Routes(service, service.summarizer).summarize,
        methods=["POST"],
        responses=contract.answers(SummarizeResponse, *contract.ASKED),
        openapi_extra=contract.asks(SummarizeRequest, api.TIMEOUT_HEADER),
    )
    return [router]
