// A node-opcua server: Double ns=1;s=A counts up at a rate, with source time stamps; says "time_ns value" of each.
// node node_server.js PORT RATE_HZ HISTORY; ends with its standard input.
const { OPCUAServer } = require("node-opcua-server");
const { Variant, DataType } = require("node-opcua-variant");
const { StatusCodes } = require("node-opcua-status-code");

const [port, rateHz, history] = process.argv.slice(2).map(Number);

async function main() {
  const server = new OPCUAServer({
    port,
    hostname: "127.0.0.1",
    securityPolicies: ["http://opcfoundation.org/UA/SecurityPolicy#None"],
    securityModes: [1],
    serverCapabilities: { minSupportedSampleRate: 0 }, // every change is a sample
  });
  await server.initialize();
  const space = server.engine.addressSpace;
  const variable = space.getOwnNamespace().addVariable({
    organizedBy: space.rootFolder.objects,
    browseName: "A",
    nodeId: "s=A",
    dataType: "Double",
    minimumSamplingInterval: 0,
  });
  if (history) space.installHistoricalDataNode(variable, { maxOnlineValues: 100000 });
  variable.setValueFromSource(new Variant({ dataType: DataType.Double, value: 0 }));
  await server.start();
  console.log("ready");
  const step = 1000 / rateHz;
  let t = Math.floor(Date.now() / step) * step;
  let k = 0;
  setInterval(() => {
    for (const now = Date.now(); t + step <= now; ) {
      t += step;
      k += 1;
      const value = new Variant({ dataType: DataType.Double, value: k });
      variable.setValueFromSource(value, StatusCodes.Good, new Date(t));
      console.log(`${t}000000 ${k}`);
    }
  }, 5);
}

process.stdin.resume().on("end", () => process.exit(0));
main().catch((error) => {
  console.error(error);
  process.exit(1);
});
