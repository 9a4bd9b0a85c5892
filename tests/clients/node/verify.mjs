// Verifies a token as a Node service would: the key set over HTTP, everything else from the arguments.
//   node verify.mjs ISSUER AUDIENCE TOKEN
import { createRemoteJWKSet, jwtVerify } from "jose";

const [issuer, audience, token] = process.argv.slice(2);
const keys = createRemoteJWKSet(new URL(`${issuer}/.well-known/jwks.json`));
try {
  const { payload, protectedHeader } = await jwtVerify(token, keys, { issuer, audience, typ: "at+jwt" });
  console.log(JSON.stringify({ payload, protectedHeader }));
} catch (error) {
  console.log(JSON.stringify({ code: error.code ?? String(error) }));
  process.exitCode = 1;
}
