// The life of a credential: generated, opened, logged in with, rotated, revoked, and watched all along. Each document is
// checked against the schema when this is built, and what is sent and answered has the types that follow from it.
import { Client, fetchExchange, type OperationResult } from "@urql/core";
import { print } from "graphql";
import { createClient } from "graphql-ws";
import { compactDecrypt, exportSPKI, generateKeyPair } from "jose";
import WebSocket from "ws";
import type { ChangesSubscription } from "./gql/graphql.js";
import { graphql } from "./gql/index.js";

const { SEALKEY = "http://127.0.0.1:8000", EMAIL = "", PASSWORD = "" } = process.env;

// The server takes no GET, so that nothing secret gets into an address.
let session = "";
const client = new Client({
  url: `${SEALKEY}/graphql`,
  exchanges: [fetchExchange],
  preferGetMethod: false,
  fetchOptions: () => ({ headers: session ? { authorization: `Bearer ${session}` } : {} }),
});

// An error on top: not signed in, not allowed, or a fault.
function answered<Data>({ data, error }: OperationResult<Data>): Data {
  if (error || !data) throw error ?? new Error("There is no answer.");
  return data;
}

// What a caller could expect to go wrong stands in the payload; where nothing did, nothing there is null.
type Refusals = { userErrors: { code: string; message: string }[] };
type Accepted<Payload> = { [Name in keyof Payload]: NonNullable<Payload[Name]> };

function accepted<Payload extends Refusals>(payload: Payload): Accepted<Payload> {
  const [refusal] = payload.userErrors;
  if (refusal) throw new Error(`${refusal.code}: ${refusal.message}`);
  return payload as Accepted<Payload>;
}

const SignIn = graphql(`
  mutation SignIn($input: SignInInput!) {
    signIn(input: $input) {
      sessionToken
      viewer { user { displayName } }
      userErrors { code message }
    }
  }
`);

const Services = graphql(`
  query Services {
    services(filter: { statuses: [ACTIVE] }) {
      nodes { id name identities { nodes { id name status } } }
    }
  }
`);

const Generate = graphql(`
  mutation Generate($input: GenerateCredentialInput!) {
    generateCredential(input: $input) {
      credential { id name }
      delivery { ... on EncryptedFileDelivery { file { name contentBase64 } } }
      userErrors { code message }
    }
  }
`);

const Rotate = graphql(`
  mutation Rotate($input: RotateCredentialInput!) {
    rotateCredential(input: $input) {
      credential { id name }
      predecessor { expiresAt }
      delivery { ... on EncryptedFileDelivery { file { name contentBase64 } } }
      userErrors { code message }
    }
  }
`);

const Revoke = graphql(`
  mutation Revoke($input: RevokeCredentialInput!) {
    revokeCredential(input: $input) {
      credential { name status }
      userErrors { code message }
    }
  }
`);

const Changes = graphql(`
  subscription Changes {
    credentialChanged { eventType credential { name } }
  }
`);

// What is told of credentials, over a WebSocket, until two of them are revoked.
async function watch(): Promise<string[]> {
  const url = `${SEALKEY.replace("http", "ws")}/graphql`;
  const connectionParams = { Authorization: `Bearer ${session}` };
  const socket = createClient({ url, connectionParams, webSocketImpl: WebSocket });
  const told = [];
  let revoked = 0;
  for await (const { data, errors } of socket.iterate<ChangesSubscription>({ query: print(Changes) })) {
    if (!data) throw errors?.[0] ?? new Error("There is no answer.");
    const { eventType, credential } = data.credentialChanged;
    told.push(`${eventType} ${credential.name}`);
    if (eventType === "credential.revoked" && ++revoked === 2) break;
  }
  await socket.dispose();
  return told;
}

type Delivery = { file?: { name: string; contentBase64: string } };

// The file is a JWE, with a line of CSV for key and secret in it.
async function open({ file }: Delivery, privateKey: CryptoKey): Promise<{ api_key: string; api_secret: string }> {
  if (!file) throw new Error("This was not delivered as a file.");
  const jwe = Buffer.from(file.contentBase64, "base64").toString().trim();
  const { plaintext } = await compactDecrypt(jwe, privateKey);
  const [api_key = "", api_secret = ""] = new TextDecoder().decode(plaintext).split("\r\n")[1]?.split(",") ?? [];
  console.log(`Opened ${file.name}.`);
  return { api_key, api_secret };
}

// What an API client does: an access token for key and secret.
async function login(keys: { api_key: string; api_secret: string }): Promise<string> {
  const headers = { "content-type": "application/json" };
  const answer = await fetch(`${SEALKEY}/v2/login`, { method: "POST", headers, body: JSON.stringify(keys) });
  const body = (await answer.json()) as { access_token: string; detail?: string };
  if (!answer.ok) throw new Error(body.detail);
  console.log(`Logged in as ${keys.api_key}.`);
  return body.access_token;
}

const { signIn } = answered(await client.mutation(SignIn, { input: { email: EMAIL, password: PASSWORD } }));
const { sessionToken, viewer } = accepted(signIn);
session = sessionToken;
console.log(`Signed in as ${viewer.user.displayName}.`);
const watching = watch();

const { services } = answered(await client.query(Services, {}));
const service = services.nodes[0];
const identity = service?.identities.nodes.find(({ status }) => status === "ACTIVE");
if (!service || !identity) throw new Error("There is no service with an identity to use.");

// The private key stays here; the server seals key and secret to the public one.
const { privateKey, publicKey } = await generateKeyPair("RSA-OAEP-256", { modulusLength: 3072 });
const delivery = { method: "ENCRYPTED_FILE", format: "JWE", publicKey: await exportSPKI(publicKey) } as const;

const wanted = { name: "typescript_example", serviceId: service.id, identityId: identity.id, delivery };
const { generateCredential } = answered(await client.mutation(Generate, { input: wanted }));
const generated = accepted(generateCredential);
console.log(`Generated ${generated.credential.name} for ${service.name}.`);
await login(await open(generated.delivery, privateKey));

const { id: credentialId } = generated.credential;
const { rotateCredential } = answered(await client.mutation(Rotate, { input: { credentialId, delivery } }));
const rotated = accepted(rotateCredential);
console.log(`Rotated it; the old secret works until ${rotated.predecessor.expiresAt}.`);
await login(await open(rotated.delivery, privateKey));

// With lineage, the old one as well.
const revocation = { credentialId: rotated.credential.id, reason: "SUPERSEDED", lineage: true } as const;
const { revokeCredential } = answered(await client.mutation(Revoke, { input: revocation }));
const { credential } = accepted(revokeCredential);
console.log(`${credential.name} is ${credential.status}.`);
console.log(`Was told of:\n${(await watching).join("\n")}`);
