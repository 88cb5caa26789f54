"""What holds at which hour: the bounds that schedules raise. Pure.

A schedule is active from a moment of `start` until the next one of `end`, both cron expressions in a time zone. Cron is
read by cronsim, which follows Debian's cron, also where a clock is set forward or back.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from tokenpace.api.scaling import Schedule
from tokenpace.api.spec import LLMDeploymentSpec


def in_force(spec: LLMDeploymentSpec, now_seconds: float) -> LLMDeploymentSpec:
    """Return the spec with what the schedules that are active ask for: the most of all, and never less than without.

    Only for a spec without `schedule_problems`.
    """
    now = datetime.fromtimestamp(now_seconds, UTC)
    active = [schedule for schedule in spec.scaling.schedules if is_active(schedule, now)]
    if not active:
        return spec
    fewest = max(spec.scaling.min_replicas, *(schedule.min_replicas or 0 for schedule in active))
    ready = max(spec.slo.ready_tokens_per_second, *(schedule.ready_tokens_per_second or 0 for schedule in active))
    bounds: dict[str, int | None] = {"min_replicas": min(fewest, spec.scaling.max_replicas)}
    if any(schedule.asks_for_replicas for schedule in active):
        bounds["scale_to_zero_after_seconds"] = None  # it wakes what sleeps, and nothing sleeps until it ends
    return spec.model_copy(
        update={
            "scaling": spec.scaling.model_copy(update=bounds),
            "slo": spec.slo.model_copy(update={"ready_tokens_per_second": ready}),
        }
    )


def is_active(schedule: Schedule, now: datetime) -> bool:
    """Tell whether a schedule has started since it last ended."""
    local = now.astimezone(ZoneInfo(schedule.time_zone))
    return _last(schedule.start, local) > _last(schedule.end, local)


def schedule_problems(schedules: Iterable[Schedule]) -> Iterator[str]:
    """Yield what the schema cannot check of schedules: the field, what is wrong, and the cure."""
    for schedule in schedules:
        field = f"spec.scaling.schedules[{schedule.name}]"
        for name, expression in (("start", schedule.start), ("end", schedule.end)):
            try:
                CronSim(expression, datetime(2000, 1, 1, tzinfo=UTC))
            except CronSimError as error:
                yield f"{field}.{name}: `{expression}` is no cron expression ({error}); daily at eight is `0 8 * * *`"
        try:
            ZoneInfo(schedule.time_zone)
        except (KeyError, ValueError, OSError):  # the last where it names a directory of zones
            yield f"{field}.timeZone: `{schedule.time_zone}` is no time zone; `Europe/Berlin` is one"


def _last(expression: str, local: datetime) -> datetime:
    """Return the last moment of a cron expression up to now."""
    after = local.replace(microsecond=0) + timedelta(seconds=1)  # backwards, the moment itself is left out
    return next(CronSim(expression, after, reverse=True))
