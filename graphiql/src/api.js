import { createClient } from "graphql-sse";

/**
 * Sends one GraphQL request to this server and returns its answer ({data, errors}).
 * The token travels in a header only: an address ends up in logs and in the browser's history.
 */
export async function post(request, token) {
  const response = await fetch("/graphql", {
    method: "POST",
    headers: {
      accept: "application/graphql-response+json, application/json",
      "content-type": "application/json",
      ...(token && { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify(request),
    cache: "no-store",
    credentials: "omit",
  });
  try {
    return await response.json();
  } catch {
    throw new Error(`The server answered ${response.status} without JSON.`);
  }
}

/** The answers to a subscription, one after the other, until nobody asks for the next. `heard` gets each as well. */
export function watch(request, token, heard) {
  const client = createClient({
    url: "/graphql",
    headers: token ? { authorization: `Bearer ${token}` } : {},
    credentials: "omit",
    retryAttempts: 0, // what happened meanwhile would be missing
    onMessage: ({ event, data }) => event === "next" && heard(data),
  });
  return client.iterate(request);
}

export function isUnauthenticated(error) {
  return error.extensions?.code === "UNAUTHENTICATED";
}

/** What went wrong, a sentence each: top-level errors, then the payload's userErrors. */
export function complaints({ errors, data }, field) {
  const userErrors = data?.[field]?.userErrors ?? [];
  return [...(errors ?? []), ...userErrors].map((error) => error.message);
}
