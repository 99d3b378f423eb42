"""Traffic counts of one week on the motorways, as the sensors' interface answers; invented."""

from datetime import date, timedelta
from typing import Final

import numpy as np

SENSORS: Final = 12
FIRST_DAY: Final = date(2026, 6, 1)
DAYS, QUARTERS = 2, 96
ROADS: Final = tuple(f"CT.{number:02}" for number in range(1, 11))


def draw_counts(seed: int) -> list[dict[str, object]]:
    """Return a row a sensor, day and quarter of an hour, in the order of the days."""
    rng = np.random.default_rng([seed, 6])
    kilometres = np.round(rng.uniform(1, 300, SENSORS), 1).tolist()
    hours = np.arange(QUARTERS) / 4
    busy = 0.15 + np.exp(-((hours - 7.5) ** 2) / 4) + np.exp(-((hours - 17.5) ** 2) / 5)
    counted = rng.poisson(160 * busy, size=(DAYS, SENSORS, QUARTERS))
    speeds = np.round(np.clip(98 - counted / 8 + rng.normal(0, 3, counted.shape), 20, 120), 1)
    return [
        {
            "sensor": f"S{sensor:03}",
            "road": ROADS[sensor % len(ROADS)],
            "kilometre": kilometres[sensor],
            "day": (FIRST_DAY + timedelta(days=day)).isoformat(),
            "quarter_hour": quarter,
            "vehicles": int(counted[day, sensor, quarter]),
            "speed_kmh": float(speeds[day, sensor, quarter]),
            "maintenance_code": f"M-{sensor % 3}",
        }
        for day in range(DAYS)
        for quarter in range(QUARTERS)
        for sensor in range(SENSORS)
    ]
