"""The tree: site, edges, sensors with their values, and alarms as conditions; each node from its identifier.

===============================  ========================================================================
``site``                         below Objects; notifier of all events
``edge/EDGE``                    below the site
``sensor/SENSOR``                below its edge
``sensor/SENSOR/VARIABLE``       one of `VARIABLES`, and its properties below it
``alarm/ALARM``                  condition of its source; ``alarm/ALARM/FIELD…`` its fields
===============================  ========================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from asyncua import ua
from asyncua.server.address_space import NodeData

from dyncal.domain.alarms import Scope
from dyncal.domain.sensors import EdgeId, Sensor, SensorId
from dyncal.domain.time import to_datetime
from services.api.outlets.news import News
from services.api.outlets.opcua import building as b
from services.api.outlets.opcua import conditions, units, values
from services.api.outlets.opcua.plant import Plant

ROOT: Final = "site"
OF_THE_SITE: Final = frozenset({Scope.SERVICE, Scope.ROLLOUT})
"""What sources of alarms have no node of their own."""

_V = ua.VariantType
_ANALOG: Final = b.standard(ua.ObjectIds.AnalogUnitType)
_DISCRETE: Final = b.standard(ua.ObjectIds.MultiStateDiscreteType)
_BASE: Final = b.standard(ua.ObjectIds.BaseDataVariableType)
_PROPERTY: Final = b.standard(ua.ObjectIds.PropertyType)
_FOLDER: Final = b.standard(ua.ObjectIds.FolderType)
_PLAIN: Final = b.standard(ua.ObjectIds.BaseObjectType)
_OBJECTS: Final = b.Name(
    b.standard(ua.ObjectIds.ObjectsFolder), ua.QualifiedName("Objects", 0), "Objects", b.OBJECT, _FOLDER
)
_SERVER: Final = b.Name(b.standard(ua.ObjectIds.Server), ua.QualifiedName("Server", 0), "Server", b.OBJECT)
_NO_NODE: Final = values.data_value(None, None, None, values.GONE)


METHODS: Final = {
    ua.ObjectIds.ConditionType_AddComment: "AddComment",
    ua.ObjectIds.AcknowledgeableConditionType_Acknowledge: "Acknowledge",
    ua.ObjectIds.AcknowledgeableConditionType_Confirm: "Confirm",
    ua.ObjectIds.AlarmConditionType_Reset: "Reset",
}
SHELVING_METHODS: Final = {
    ua.ObjectIds.ShelvedStateMachineType_TimedShelve: "TimedShelve",
    ua.ObjectIds.ShelvedStateMachineType_Unshelve: "Unshelve",
}


class Variable(NamedTuple):
    """A variable of every sensor; `unit` makes its unit of the sensor's."""

    data_type: int
    type: Any
    description: str
    unit: Callable[[str], str] | None = None


VARIABLES: Final = {
    "Corrected": Variable(_V.Double.value, _ANALOG, "What the sensor was exposed to", str),
    "StandardUncertainty": Variable(
        _V.Double.value, _ANALOG, "Standard uncertainty of the corrected value", units.of_difference
    ),
    "Raw": Variable(_V.Double.value, _ANALOG, "What the sensor indicates", str),
    "State": Variable(_V.String.value, _BASE, "NAMUR NE 107, or learning, reference, cannot_tell"),
    "StateReason": Variable(_V.String.value, _BASE, "Why, for people"),
    "DeviceHealth": Variable(_V.UInt32.value, _DISCRETE, "NAMUR NE 107, numbered as in OPC 10000-100"),
    "CoefficientSet": Variable(_V.String.value, _BASE, "Set that the sensor runs; its source time is since when"),
}


class Model:
    """Makes nodes of what the plant and the alarms are.

    Parameters
    ----------
    namespace : int
        Index of our namespace.
    watched : dict
        Gets the values that somebody has subscribed to.
    """

    def __init__(
        self, plant: Plant, alarms: conditions.Conditions, namespace: int, watched: dict[b.WatchedValue, None]
    ) -> None:
        self.namespace = namespace
        self._plant, self._alarms, self._ns, self._watched = plant, alarms, namespace, watched

    def id(self, identifier: str) -> Any:
        """Return the node id of an identifier."""
        return ua.NodeId(identifier, self._ns)

    def attach(self, nodes: dict[Any, NodeData]) -> None:
        """Hang the tree into the standard one."""
        site = self._site_name()
        nodes[_OBJECTS.node].references.append(b.points(b.ORGANIZES, site))
        nodes[_SERVER.node].references.append(b.points(b.NOTIFIER, site))

    def notifiers(self, news: News) -> list[Any]:
        """Return the nodes whose subscribers get the events of an alarm, its source first."""
        chain = [_SERVER.node, self.id(ROOT)]
        if news.scope is Scope.SENSOR:
            sensor = self._plant.sensors.get(SensorId(news.source))
            chain += [] if sensor is None else [self.id(f"edge/{sensor.edge}"), self.id(f"sensor/{sensor.id}")]
        elif news.scope is Scope.EDGE:
            chain.append(self.id(f"edge/{news.source}"))
        return chain[::-1]

    def fields(self, news: News) -> conditions.Fields:
        """Return the fields of the event that tells of a change."""
        source = self.notifiers(news)[0]
        value = self.id(f"sensor/{news.source}/Corrected") if news.scope is Scope.SENSOR else None
        return conditions.fields(news, source, value)

    def make(self, identifier: str) -> NodeData | None:
        """Return the node of an identifier, or None where there is none."""
        match identifier.split("/"):
            case ["site"]:
                return self._site()
            case ["edge", edge] if EdgeId(edge) in self._plant.edges:
                return self._edge(EdgeId(edge))
            case ["sensor", name, *rest] if (sensor := self._plant.sensors.get(SensorId(name))) is not None:
                return self._of_sensor(sensor, rest)
            case ["alarm", alarm, *rest] if (news := self._alarms.get(alarm)) is not None:
                return self._alarm(news, rest)
            case _:
                return None

    def _name(
        self, identifier: str, browse: str, kind: Any, node_class: Any = b.OBJECT, *, ns: int | None = None
    ) -> b.Name:
        index = self._ns if ns is None else ns
        return b.Name(self.id(identifier), ua.QualifiedName(browse, index), browse, node_class, kind)

    def _site_name(self) -> b.Name:
        return self._name(ROOT, self._plant.site, _FOLDER)

    def _edge_name(self, edge: str) -> b.Name:
        return self._name(f"edge/{edge}", edge, _FOLDER)

    def _sensor_name(self, sensor: Sensor) -> b.Name:
        name = self._name(f"sensor/{sensor.id}", sensor.id, _PLAIN)
        return name._replace(display=sensor.label or sensor.id)

    def _site(self) -> NodeData:
        edges = [self._edge_name(edge) for edge in self._plant.edges]
        references = [b.points(b.ORGANIZES, _OBJECTS, forward=False), b.points(b.NOTIFIER, _SERVER, forward=False)]
        references += [b.points(kind, edge) for edge in edges for kind in (b.ORGANIZES, b.NOTIFIER)]
        of_services = [news for news in self._alarms.retained() if news.scope in OF_THE_SITE]
        references += [b.points(b.CONDITION, self._alarm_name(news)) for news in of_services]
        return b.object_node(self._site_name(), references, events=True)

    def _edge(self, edge: EdgeId) -> NodeData:
        site = self._site_name()
        references = [b.points(kind, site, forward=False) for kind in (b.ORGANIZES, b.NOTIFIER)]
        for sensor in self._plant.edges[edge]:
            name = self._sensor_name(sensor)
            references += [b.points(b.ORGANIZES, name), b.points(b.EVENT_SOURCE, name)]
        references += self._conditions_of(edge)
        return b.object_node(self._edge_name(edge), references, events=True)

    def _of_sensor(self, sensor: Sensor, rest: list[str]) -> NodeData | None:
        match rest:
            case []:
                return self._sensor(sensor)
            case [name] if name in VARIABLES:
                return self._variable(sensor, name)
            case [name, "EngineeringUnits"] if name in VARIABLES and (unit := VARIABLES[name].unit) is not None:
                made = values.data_value(units.engineering_units(unit(sensor.unit)), _V.ExtensionObject)
                return self._property(sensor, name, "EngineeringUnits", ua.ObjectIds.EUInformation, made)
            case ["DeviceHealth", "EnumStrings"]:
                words = [ua.LocalizedText(word) for word in values.HEALTH_NAMES]
                made = values.data_value(words, _V.LocalizedText)
                return self._property(sensor, "DeviceHealth", "EnumStrings", _V.LocalizedText.value, made, array=True)
            case _:
                return None

    def _sensor(self, sensor: Sensor) -> NodeData:
        edge = self._edge_name(sensor.edge)
        references = [b.points(kind, edge, forward=False) for kind in (b.ORGANIZES, b.EVENT_SOURCE)]
        references += [b.points(b.COMPONENT, self._variable_name(sensor, name)) for name in VARIABLES]
        references += self._conditions_of(sensor.id)
        return b.object_node(self._sensor_name(sensor), references, events=True)

    def _conditions_of(self, source: str) -> Iterable[Any]:
        return [b.points(b.CONDITION, self._alarm_name(news)) for news in self._alarms.of(source)]

    def _variable_name(self, sensor: Sensor, name: str) -> b.Name:
        return self._name(f"sensor/{sensor.id}/{name}", name, VARIABLES[name].type, b.VARIABLE)

    def _variable(self, sensor: Sensor, name: str) -> NodeData:
        variable = VARIABLES[name]
        references = [b.points(b.COMPONENT, self._sensor_name(sensor), forward=False)]
        if variable.type is not _BASE:
            its = "EngineeringUnits" if variable.type is _ANALOG else "EnumStrings"
            references.append(b.points(b.PROPERTY, self._property_name(sensor, name, its)))
        reading = getattr(self, f"_{name.lower()}")
        return b.variable_node(
            self._variable_name(sensor, name),
            variable.data_type,
            # A subscription may outlive its sensor, and a sensor be declared anew.
            lambda: _NO_NODE if (now := self._plant.sensors.get(sensor.id)) is None else reading(now),
            references,
            self._watched,
            description=variable.description,
        )

    def _property_name(self, sensor: Sensor, owner: str, name: str) -> b.Name:
        return self._name(f"sensor/{sensor.id}/{owner}/{name}", name, _PROPERTY, b.VARIABLE, ns=0)

    def _property(
        self, sensor: Sensor, owner: str, name: str, data_type: int, value: Any, *, array: bool = False
    ) -> NodeData:
        back = [b.points(b.PROPERTY, self._variable_name(sensor, owner), forward=False)]
        named = self._property_name(sensor, owner, name)
        return b.variable_node(named, data_type, lambda: value, back, self._watched, array=array)

    def _corrected(self, sensor: Sensor) -> Any:
        latest = self._plant.latest(sensor)
        stale = latest is not None and self._plant.stale(sensor, latest.corrected_t_ns)
        return values.corrected(latest, self._plant.standing(sensor), stale)

    def _standarduncertainty(self, sensor: Sensor) -> Any:
        latest = self._plant.latest(sensor)
        return values.uncertainty(latest, latest is not None and self._plant.stale(sensor, latest.corrected_t_ns))

    def _raw(self, sensor: Sensor) -> Any:
        latest = self._plant.latest(sensor)
        return values.raw(latest, latest is not None and self._plant.stale(sensor, latest.raw_t_ns))

    def _state(self, sensor: Sensor) -> Any:
        standing = self._plant.standing(sensor)
        return values.data_value(str(standing.state), _V.String, standing.since_ns)

    def _statereason(self, sensor: Sensor) -> Any:
        standing = self._plant.standing(sensor)
        return values.data_value(standing.detail, _V.String, standing.since_ns)

    def _devicehealth(self, sensor: Sensor) -> Any:
        standing = self._plant.standing(sensor)
        return values.data_value(values.device_health(standing.state), _V.UInt32, standing.since_ns)

    def _coefficientset(self, sensor: Sensor) -> Any:
        active = self._plant.active(sensor)
        return values.data_value(active.id if active else "", _V.String, active.since_ns if active else None)

    def _alarm_name(self, news: News) -> b.Name:
        return self._name(f"alarm/{news.id}", f"{news.source} {news.kind}", conditions.TYPE_ID)

    def _alarm(self, news: News, rest: list[str]) -> NodeData | None:
        """Return the node of a condition, or of one of its fields."""
        told, path = self.fields(news), "/".join(rest)
        if not rest:
            source = self.notifiers(news)[0]
            back = b.Name(source, ua.QualifiedName(news.source, self._ns), news.source, b.OBJECT)
            references = [b.points(b.CONDITION, back, forward=False), *self._children(news, told, "")]
            references.append(b.points(b.COMPONENT, self._field_name(news, "ShelvingState")))
            references += _methods(METHODS)
            return b.object_node(self._alarm_name(news), references)
        if path == "ShelvingState":
            references = [*self._children(news, told, "ShelvingState/"), *_methods(SHELVING_METHODS)]
            return b.object_node(self._field_name(news, path), references)
        if path not in told:
            return None

        def reading() -> Any:
            now = self._alarms.get(news.id) or news
            return ua.DataValue(
                Value=self.fields(now)[path], StatusCode=ua.StatusCode(0), SourceTimestamp=to_datetime(now.told_ns)
            )

        references = self._children(news, told, f"{path}/")
        kind = told[path].VariantType.value
        return b.variable_node(self._field_name(news, path), kind, reading, references, self._watched)

    def _field_name(self, news: News, path: str) -> b.Name:
        if path == "ShelvingState":
            kind, node_class = b.standard(ua.ObjectIds.ShelvedStateMachineType), b.OBJECT
        elif path == "ShelvingState/CurrentState":
            kind, node_class = b.standard(ua.ObjectIds.FiniteStateVariableType), b.VARIABLE
        elif path in ("Quality", "LastSeverity", "Comment"):
            kind, node_class = b.standard(ua.ObjectIds.ConditionVariableType), b.VARIABLE
        elif path.endswith("State"):
            kind, node_class = b.standard(ua.ObjectIds.TwoStateVariableType), b.VARIABLE
        else:
            kind, node_class = _PROPERTY, b.VARIABLE
        return self._name(f"alarm/{news.id}/{path}", path.rpartition("/")[2], kind, node_class, ns=0)

    def _children(self, news: News, told: conditions.Fields, prefix: str) -> list[Any]:
        """Return references to the fields right below a path."""
        below = [path for path in told if path.startswith(prefix) and "/" not in path[len(prefix) :]]
        names = [self._field_name(news, path) for path in below]
        return [b.points(b.PROPERTY if name.type == _PROPERTY else b.COMPONENT, name) for name in names]


def _methods(known: Mapping[int, str]) -> list[Any]:
    """Return references to methods of the types: instances have none of their own (OPC 10000-3, 6.2.6)."""
    return [
        b.points(b.COMPONENT, b.Name(b.standard(number), ua.QualifiedName(name, 0), name, b.METHOD))
        for number, name in known.items()
    ]
