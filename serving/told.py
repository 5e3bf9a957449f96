"""What the process says of its models: at readyz, and in the list of models."""

from __future__ import annotations

from serving import api
from serving.service import EmbedderSeat, Service, SummarizerSeat


def readiness(service: Service) -> api.Readiness:
    """Where the process stands. What is said of one model is said of the embedder."""
    models = [_standing(seat) for seat in service.seats]
    first = models[0]
    return api.Readiness(
        ready=service.is_ready,
        stage=service.config.stage,
        phase=service.phase.value,
        reason=service.reason,
        model=first.model,
        version=first.version,
        precision=first.precision,
        provider=first.provider,
        required_provider=service.config.required_provider,
        degraded=service.degraded,
        golden_cosine_min=first.proof,
        models=models,
    )


def models(service: Service) -> list[api.ServedModel]:
    """Those that serve now."""
    summarizer = service.summarizer
    found = [_served(service.embedder), _served(summarizer) if summarizer is not None else None]
    return [one for one in found if one is not None]


def _standing(seat: EmbedderSeat | SummarizerSeat) -> api.ModelStanding:
    proven = seat.proven
    model = proven.model if proven else None
    about = model.manifest if model else None
    return api.ModelStanding(
        role=seat.role,
        model=about.name if about else None,
        version=about.version if about else None,
        precision=about.precision if about else None,
        provider=model.provider if model else None,
        degraded=model.degraded if model else None,
        proof=proven.proof if proven else None,
        reason=seat.reason,
        refused_version=seat.refusal.version if seat.refusal else None,
        refused_reason=seat.refusal.reason if seat.refusal else None,
        source_trouble=seat.trouble or None,
    )


def _served(seat: EmbedderSeat | SummarizerSeat) -> api.ServedModel | None:
    proven = seat.proven
    if proven is None:
        return None
    about = proven.model.manifest
    return api.ServedModel(
        id=about.name,
        object="model",
        created=proven.loaded_at,
        owned_by="tandem",
        version=about.version,
        precision=about.precision,
        dimensions=getattr(about, "dimensions", None),
        max_tokens=about.max_tokens,
        aliases=[seat.role],
    )
