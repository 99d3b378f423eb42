// A client made of npm's oauth4webapi: gets tokens by both grants, uses them, asks about one and ends it.
//
// Standard input: one JSON object. Standard output: a JSON object a line, what came of each step.
import readline from "node:readline";
import * as oauth from "oauth4webapi";

const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const given = JSON.parse((await lines.next()).value);
const insecure = { [oauth.allowInsecureRequests]: true };
const tell = (step, said) => console.log(JSON.stringify({ step, ...said }));

const curve = { name: "ECDSA", namedCurve: "P-256" };
const key = await crypto.subtle.importKey("jwk", given.Key, curve, false, ["sign"]);
const authentication = oauth.PrivateKeyJwt(key);
const client = { client_id: given.Client };
const pair = await oauth.generateKeyPair("ES256");
let covered = null;
const DPoP = oauth.DPoP(client, pair, {
  [oauth.modifyAssertion]: (_header, payload) => {
    if (covered !== null) payload.qd = covered;
  },
});

let nonces = 0;
async function withNonce(ask) {
  try {
    return await ask();
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error;
    nonces += 1;
    return await ask();
  }
}

const issuer = new URL(given.Origin);
const found = await oauth.discoveryRequest(issuer, { algorithm: "oauth2", ...insecure });
const as = await oauth.processDiscoveryResponse(issuer, found);
tell("discovered", { issuer: as.issuer });

async function got(token, path) {
  covered = null;
  const url = new URL(path, given.Origin);
  const answer = await oauth.protectedResourceRequest(token, "GET", url, undefined, undefined, { DPoP, ...insecure });
  return { status: answer.status, content: await answer.json() };
}

async function posted(token, path, body) {
  const bytes = new TextEncoder().encode("\0" + body);
  covered = Buffer.from(await crypto.subtle.digest("SHA-256", bytes)).toString("base64url");
  const url = new URL(path, given.Origin);
  const headers = new Headers({ "content-type": "application/json" });
  const answer = await oauth.protectedResourceRequest(token, "POST", url, headers, body, { DPoP, ...insecure });
  covered = null;
  return { status: answer.status, content: await answer.json() };
}

// client credentials

const alone = await withNonce(async () => {
  const parameters = new URLSearchParams({ purpose: given.Purpose });
  const options = { DPoP, ...insecure };
  const answer = await oauth.clientCredentialsGrantRequest(as, client, authentication, parameters, options);
  return await oauth.processClientCredentialsResponse(as, client, answer);
});
tell("alone", { type: alone.token_type, acr: alone.acr, nonces });
tell("listed", await withNonce(() => got(alone.access_token, "/v1/datasets")));

// The library sends no proof to these two endpoints by itself; its own handle makes one here.

async function proved(url, options) {
  const headers = new Headers(options.headers);
  await DPoP.addProof(new URL(url), headers, options.method);
  const answer = await fetch(url, { ...options, headers });
  DPoP.cacheNonce(answer, new URL(url));
  return answer;
}
const proving = { ...insecure, [oauth.customFetch]: proved };

async function asked() {
  const answer = await oauth.introspectionRequest(as, client, authentication, alone.access_token, proving);
  return await oauth.processIntrospectionResponse(as, client, answer);
}
tell("introspected", await withNonce(asked));
await withNonce(async () => {
  const answer = await oauth.revocationRequest(as, client, authentication, alone.access_token, proving);
  await oauth.processRevocationResponse(answer);
});
tell("revoked", await withNonce(asked));
try {
  tell("refused", await got(alone.access_token, "/v1/datasets"));
} catch (error) {
  tell("refused", { status: error.status, error: error.cause[0].parameters.error });
}

// device grant

const device = await withNonce(async () => {
  const parameters = new URLSearchParams({ purpose: given.Purpose });
  const answer = await oauth.deviceAuthorizationRequest(as, client, authentication, parameters, proving);
  return await oauth.processDeviceAuthorizationResponse(as, client, answer);
});
tell("device", device);
await lines.next(); // a person has decided

const activated = await withNonce(async () => {
  const options = { DPoP, ...insecure };
  const answer = await oauth.deviceCodeGrantRequest(as, client, authentication, device.device_code, options);
  return await oauth.processDeviceCodeResponse(as, client, answer);
});
tell("activated", { type: activated.token_type, acr: activated.acr });
tell("rows", await withNonce(() => posted(activated.access_token, given.Path, '{"limit": 3}')));
process.exit(0);
