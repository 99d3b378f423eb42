// A firm made of npm's jose: it makes a key for replies, and opens what is encrypted to it, by our one algorithm.
//
// Standard input: one JSON object a line. Standard output: a JSON object each; `refused` has jose's own code.
import readline from "node:readline";
import * as jose from "jose";

const ALG = "ECDH-ES+A256KW";
const ONLY = { keyManagementAlgorithms: [ALG], contentEncryptionAlgorithms: ["A256GCM"] };

async function made() {
  const { publicKey, privateKey } = await jose.generateKeyPair(ALG, { crv: "P-256", extractable: true });
  const jwk = { ...(await jose.exportJWK(publicKey)), use: "enc" };
  const thumbprint = await jose.calculateJwkThumbprint(jwk, "sha256");
  return { jwk, thumbprint, private: await jose.exportJWK(privateKey) };
}

async function opened(given) {
  const key = await jose.importJWK(given.Private, ALG);
  const { plaintext, protectedHeader } = await jose.compactDecrypt(given.Jwe, key, ONLY);
  return { header: protectedHeader, text: new TextDecoder("utf-8", { fatal: true }).decode(plaintext) };
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  const given = JSON.parse(line);
  try {
    console.log(JSON.stringify(given.Jwe === undefined ? await made() : await opened(given)));
  } catch (error) {
    console.log(JSON.stringify({ refused: error.code ?? String(error) }));
  }
}
