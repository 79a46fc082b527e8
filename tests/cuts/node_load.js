// A node-opcua server with many nodes that change at once, for benchmarks.
// node node_load.js PORT N_NODES RATE_HZ ARRAY SECONDS: Doubles ns=1;s=N0, N1, ..., or arrays of ARRAY of them, begin
// to change with a line on the standard input; how often each has changed, and in which time [s], is said.
const { OPCUAServer } = require("node-opcua-server");
const { Variant, VariantArrayType, DataType } = require("node-opcua-variant");
const { StatusCodes } = require("node-opcua-status-code");

const [port, nNodes, rateHz, array, seconds] = process.argv.slice(2).map(Number);

function valueOf(k) {
  if (!array) return new Variant({ dataType: DataType.Double, value: k });
  const value = new Float64Array(array).fill(k);
  return new Variant({ dataType: DataType.Double, arrayType: VariantArrayType.Array, value });
}

async function main() {
  const server = new OPCUAServer({
    port,
    hostname: "127.0.0.1",
    securityPolicies: ["http://opcfoundation.org/UA/SecurityPolicy#None"],
    securityModes: [1],
    serverCapabilities: { minSupportedSampleRate: 0 },
  });
  await server.initialize();
  const space = server.engine.addressSpace;
  const nodes = Array.from({ length: nNodes }, (_, k) =>
    space.getOwnNamespace().addVariable({
      organizedBy: space.rootFolder.objects,
      browseName: `N${k}`,
      nodeId: `s=N${k}`,
      dataType: "Double",
      valueRank: array ? 1 : -1,
      minimumSamplingInterval: 0,
    }),
  );
  nodes.forEach((node) => node.setValueFromSource(valueOf(0)));
  await server.start();
  console.log("ready");
  process.stdin.once("data", () => change(nodes));
}

function change(nodes) {
  const step = 1000 / rateHz;
  const began = Date.now();
  const n = seconds * rateHz;
  let k = 0;
  const timer = setInterval(() => {
    while (k < n && began + k * step <= Date.now()) {
      k += 1;
      const value = valueOf(k);
      const at = new Date(began + k * step);
      for (const node of nodes) node.setValueFromSource(value, StatusCodes.Good, at);
    }
    if (k === n) {
      clearInterval(timer);
      console.log(`${n} ${(Date.now() - began) / 1000}`);
    }
  }, 2);
}

process.stdin.resume().on("end", () => process.exit(0));
main().catch((error) => {
  console.error(error);
  process.exit(1);
});
