// A verifier made of npm's @sigstore/verify (its own modules, so the version is pinned): notes, inclusion.
// And npm's canonicalize, as another opinion on canonical JSON.
//
// Standard input: one JSON object a line. Standard output: a line each, "ok" or what is wrong.
"use strict";
const crypto = require("crypto");
const readline = require("readline");
const canonicalize = require("canonicalize").default ?? require("canonicalize");
const verify = require.resolve("@sigstore/verify").replace(/index\.js$/, "");
const { verifyCheckpoint } = require(verify + "tlog/checkpoint.js");
const { verifyMerkleInclusion } = require(verify + "tlog/merkle.js");

const SPKI_ED25519 = Buffer.from("302a300506032b6570032100", "hex");

function verified(log) {
  const [name, keyId, key] = log.Vkey.split(/\+(.{8})\+/s);
  const raw = Buffer.from(key, "base64").subarray(1);
  const der = Buffer.concat([SPKI_ED25519, raw]);
  const tlog = {
    logID: Buffer.from(keyId, "hex"),
    baseURL: name,
    publicKey: crypto.createPublicKey({ key: der, format: "der", type: "spki" }),
  };
  const entry = {
    canonicalizedBody: Buffer.from(log.Entry, "base64"),
    inclusionProof: {
      checkpoint: { envelope: log.Checkpoint },
      logIndex: String(log.Index),
      hashes: log.Path.map((node) => Buffer.from(node, "base64")),
    },
  };
  verifyMerkleInclusion(entry, verifyCheckpoint(entry, [tlog]));
}

function canonical(entries) {
  for (const entry of entries) {
    const text = Buffer.from(entry, "base64").toString("utf8");
    if (canonicalize(JSON.parse(text)) !== text) throw new Error("not canonical");
  }
}

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  try {
    const given = JSON.parse(line);
    if (given.Canonical) canonical(given.Canonical);
    else verified(given);
    console.log("ok");
  } catch (error) {
    console.log(String(error.message).replace(/\n/g, " ") || "failed");
  }
});
