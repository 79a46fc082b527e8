// A node-opcua client that looks at everything and acknowledges one alarm.
// node node_client.js URL POLICY MODE USER PASSWORD HOME; says one line of JSON for each thing that it sees, and ends with
// its standard input. POLICY and MODE as node-opcua names them; USER "" is anonymous.
const { OPCUAClient, installAlarmMonitoring, callConditionRefresh } = require("node-opcua-client");
const { OPCUACertificateManager } = require("node-opcua-certificate-manager");
const { MessageSecurityMode, SecurityPolicy } = require("node-opcua-secure-channel");
const { AttributeIds } = require("node-opcua-data-model");
const { TimestampsToReturn } = require("node-opcua-service-read");
const { UserTokenType } = require("node-opcua-types");
const { constructEventFilter } = require("node-opcua-service-filter");
const { Variant, DataType } = require("node-opcua-variant");
const path = require("path");

const [url, policy, mode, user, password, home] = process.argv.slice(2);
const say = (what, more) => console.log(JSON.stringify({ what, ...more }));
const later = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function alarmFields(alarm) {
  const { ackedState, activeState, shelvingState, ...fields } = alarm.fields;
  return {
    condition: alarm.conditionId.value,
    acked: ackedState.id.value,
    active: activeState.id.value,
    retain: alarm.getRetain(),
    severity: fields.severity.value,
    message: fields.message.value.text,
    source: fields.sourceName.value,
    user: fields.clientUserId.value,
    shelving: shelvingState.currentState.value.text,
  };
}

async function main() {
  const manager = new OPCUACertificateManager({ rootFolder: path.join(home, "pki"), automaticallyAcceptUnknownCertificate: true });
  await manager.initialize();
  const client = OPCUAClient.create({
    applicationName: "checker",
    securityPolicy: SecurityPolicy[policy],
    securityMode: MessageSecurityMode[mode],
    clientCertificateManager: manager,
    endpointMustExist: true,
    connectionStrategy: { maxRetry: 0 },
  });
  await client.connect(url);
  const session = await client.createSession(
    user ? { type: UserTokenType.UserName, userName: user, password } : { type: UserTokenType.Anonymous },
  );
  const namespaces = await session.readNamespaceArray();
  const ns = namespaces.indexOf("urn:dyncal:opcua:1");
  say("connected", { ns });

  const read = async (name) => {
    const value = await session.read({ nodeId: `ns=${ns};s=${name}`, attributeId: AttributeIds.Value });
    return { value: value.value.value, status: value.statusCode.value, at: value.sourceTimestamp };
  };
  for (const name of ["Corrected", "StandardUncertainty", "Raw", "State", "DeviceHealth", "CoefficientSet"])
    say("read", { name, ...(await read(`sensor/TT-0/${name}`)) });
  const units = (await read("sensor/TT-0/Corrected/EngineeringUnits")).value;
  say("units", { id: units.unitId, shown: units.displayName.text });
  const sensors = await session.browse(`ns=${ns};s=edge/edge-0`);
  say("browsed", { names: sensors.references.map((reference) => reference.browseName.name) });

  const subscription = await session.createSubscription2({
    requestedPublishingInterval: 50, requestedMaxKeepAliveCount: 20, requestedLifetimeCount: 600, publishingEnabled: true,
  });
  const item = await subscription.monitor(
    { nodeId: `ns=${ns};s=sensor/TT-0/Corrected`, attributeId: AttributeIds.Value },
    { samplingInterval: 0, queueSize: 10, discardOldest: true },
    TimestampsToReturn.Both,
  );
  item.on("changed", (value) => say("changed", { value: value.value.value, status: value.statusCode.value, at: value.sourceTimestamp }));

  const alarms = await installAlarmMonitoring(session); // subscribes to events of the server, and asks for a refresh
  alarms.on("newAlarm", (alarm) => say("new", alarmFields(alarm)));
  alarms.on("alarmChanged", (alarm) => say("alarm", alarmFields(alarm)));
  const events = await subscription.monitor(
    { nodeId: "i=2253", attributeId: AttributeIds.EventNotifier },
    { filter: constructEventFilter(["EventType", "SourceName", "Retain"]), queueSize: 1000, discardOldest: true },
    TimestampsToReturn.Both,
  );
  events.on("changed", ([type, source, retain]) =>
    say("event", { type: type.value.value, source: source.value, retain: retain.value }));
  say("ready", {});

  process.stdin.on("data", async (data) => {
    const [command, name, argument] = data.toString().trim().split(" ");
    const alarm = alarms.alarms().find((known) => known.conditionId.value === `alarm/${name}`);
    try {
      if (command === "acknowledge") {
        const result = await session.acknowledgeCondition(alarm.conditionId, alarm.eventId, "seen by the checker");
        say("acknowledged", { status: result.name });
      } else if (command === "comment") {
        const result = await session.addCommentCondition(alarm.conditionId, alarm.eventId, "noted");
        say("commented", { status: result.name });
      } else if (command === "shelve" || command === "unshelve") {
        const result = await session.call({
          objectId: `ns=${ns};s=alarm/${name}/ShelvingState`,
          methodId: command === "shelve" ? "ns=0;i=2949" : "ns=0;i=2947",
          inputArguments: command === "shelve" ? [new Variant({ dataType: DataType.Double, value: Number(argument) })] : [],
        });
        say(command, { status: result.statusCode.name });
      } else if (command === "refresh") {
        await callConditionRefresh(session, subscription.subscriptionId);
        say("refreshed", {});
      }
    } catch (error) {
      say("failed", { command, error: error.message });
    }
  });
  process.stdin.on("end", async () => {
    await later(10);
    await session.close();
    await client.disconnect();
    process.exit(0);
  });
}

main().catch((error) => {
  say("failed", { error: error.message });
  process.exit(1);
});
