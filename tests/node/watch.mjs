// node watch.mjs ws|sse ADDRESS TOKEN [again]: a line for each change of a credential, its type and name as JSON; before them
// "watching", and at the end "complete" or the code of what went wrong. With "again" it
// comes back after a lost connection, and then says "watching again".
import * as sse from "graphql-sse";
import * as ws from "graphql-ws";
import WebSocket from "ws";

const [way, address, token, again] = process.argv.slice(2);
const query = "subscription { credentialChanged { eventType credential { name } } }";
const Authorization = `Bearer ${token}`;
let said = "";
let connections = 0;

function sayWatching() {
  const words = connections > 1 ? "watching again" : "watching";
  if (said !== words) console.log(words);
  said = words;
}

// Soon, and as often as it takes.
const wait = () => new Promise((resolve) => setTimeout(resolve, 50));
const retryAttempts = again ? 1000 : 0;

const clients = {
  ws: () =>
    ws.createClient({
      url: `${address.replace("http", "ws")}/graphql`,
      webSocketImpl: WebSocket,
      connectionParams: { Authorization },
      retryAttempts,
      retryWait: wait,
      // Also where nobody listens yet.
      shouldRetry: () => true,
      // A ping that follows the subscription is answered once that has begun.
      keepAlive: 50,
      // In vain, a connection is not "connected".
      on: { pong: sayWatching, connected: () => connections++ },
    }),
  sse: () =>
    sse.createClient({
      url: `${address}/graphql`,
      headers: { Authorization },
      retryAttempts,
      retry: wait,
      async fetchFn(...request) {
        const answer = await fetch(...request);
        connections++;
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
