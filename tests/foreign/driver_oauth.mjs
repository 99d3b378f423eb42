// A verifier made of npm's oauth4webapi: whole requests, judged as a resource server of its own would.
//
// Standard input: one JSON object a line. Standard output: a line each, "ok" or what is wrong.
import readline from "node:readline";
import * as oauth from "oauth4webapi";

const servers = new Map();

function server(given) {
  // One object an issuer: the library keeps the keys that it has fetched with it.
  if (!servers.has(given.Issuer)) {
    servers.set(given.Issuer, { issuer: given.Issuer, jwks_uri: given.Issuer + "/oauth/jwks" });
  }
  return servers.get(given.Issuer);
}

async function judged(given) {
  Date.now = () => given.Now * 1000;
  const headers = { authorization: given.Authorization, dpop: given.DPoP };
  const request = new Request(given.Url, { method: given.Method, headers });
  await oauth.validateJwtAccessToken(server(given), request, given.Audience, {
    requireDPoP: true,
    [oauth.customFetch]: async () => Response.json(given.Jwks),
  });
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  try {
    await judged(JSON.parse(line));
    console.log("ok");
  } catch (error) {
    console.log(String(error.message).replace(/\s+/g, " ") || "failed");
  }
}
