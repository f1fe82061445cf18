"""What becomes of a version once it is promoted, as far as a catalog tells it beforehand."""

from models.catalog import Service


def unwatched(service: Service) -> str | None:
    """Why nothing will watch a promoted version though the old one is kept for it; None where that misleads nobody."""
    plan = service.rollout
    if not plan.scale_down_delay or not plan.judge.after_promotion.enabled or plan.judge.compare.enabled:
        return None
    return (
        "scale_down_delay keeps the old version, but nothing watches the new one meanwhile: judge.compare.enabled is "
        "false, and what is usual is learnt by comparing"
    )
