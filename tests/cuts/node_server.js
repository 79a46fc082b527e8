// A node-opcua server: Double ns=1;s=A counts up at a rate, with source time stamps; says "time_ns value" of each.
// node node_server.js PORT RATE_HZ HISTORY [SECURE]; ends with its standard input. SECURE: with every security policy, a
// user "operator" with the password "pa55", and certificates below HOME; it accepts those of all clients.
const { OPCUAServer } = require("node-opcua-server");
const { OPCUACertificateManager } = require("node-opcua-certificate-manager");
const { Variant, DataType } = require("node-opcua-variant");
const { StatusCodes } = require("node-opcua-status-code");

const [port, rateHz, history, secure] = process.argv.slice(2).map(Number);

function security() {
  const none = "http://opcfoundation.org/UA/SecurityPolicy#None";
  if (!secure) return { securityPolicies: [none], securityModes: [1] };
  const names = ["Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"];
  return {
    securityPolicies: [none, ...names.map((name) => none.replace("None", name))],
    securityModes: [1, 2, 3],
    userManager: { isValidUser: (name, password) => name === "operator" && password === "pa55" },
    serverCertificateManager: new OPCUACertificateManager({
      automaticallyAcceptUnknownCertificate: true,
      rootFolder: `${process.env.HOME}/server-pki`,
    }),
  };
}

async function main() {
  const server = new OPCUAServer({
    port,
    hostname: "127.0.0.1",
    ...security(),
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
