// node watch.mjs ws|sse ADDRESS TOKEN: a line for each change of a credential, its type and name as JSON; before them
// "watching", and at the end "complete" or the code of what went wrong.
import * as sse from "graphql-sse";
import * as ws from "graphql-ws";
import WebSocket from "ws";

const [way, address, token] = process.argv.slice(2);
const query = "subscription { credentialChanged { eventType credential { name } } }";
const Authorization = `Bearer ${token}`;
let saidSo = false;

function sayWatching() {
  if (!saidSo) console.log("watching");
  saidSo = true;
}

const clients = {
  ws: () =>
    ws.createClient({
      url: `${address.replace("http", "ws")}/graphql`,
      webSocketImpl: WebSocket,
      connectionParams: { Authorization },
      retryAttempts: 0,
      // A ping that follows the subscription is answered once that has begun.
      keepAlive: 50,
      on: { pong: sayWatching },
    }),
  sse: () =>
    sse.createClient({
      url: `${address}/graphql`,
      headers: { Authorization },
      retryAttempts: 0,
      async fetchFn(...request) {
        const answer = await fetch(...request);
        sayWatching();
        return answer;
      },
    }),
};

const client = clients[way]();
try {
  for await (const { data, errors } of client.iterate({ query })) {
    if (errors) throw errors;
    const { eventType, credential } = data.credentialChanged;
    console.log(JSON.stringify([eventType, credential.name]));
  }
  console.log("complete");
} catch (problem) {
  console.log(problem[0]?.extensions.code ?? `${problem.code ?? problem.message}`);
}
await client.dispose();
