"""Sample store on InfluxDB."""

from dyncal.adapters.influx.store import InfluxSampleStore

__all__ = ["InfluxSampleStore"]
