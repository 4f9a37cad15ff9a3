import { getOperationAST, parse } from "graphql";
import { isUnauthenticated, post, watch } from "./api.js";
import { filesIn, offered } from "./files.js";
import { checkToken, session, setToken } from "./session.js";

/** What GraphiQL calls to run an operation, or to read the schema. */
export async function fetcher({ query, variables, operationName }) {
  const request = { query, variables, operationName: operationName || undefined };
  if (isSubscription(request)) return watch(request, session.get().token, noticeEnd);
  const answer = await post(request, session.get().token);
  if (operationName !== "IntrospectionQuery") notice(answer);
  return answer;
}

function isSubscription({ query, operationName }) {
  try {
    return getOperationAST(parse(query), operationName)?.operation === "subscription";
  } catch {
    return false; // the server says what is wrong with it
  }
}

/** Keeps the session bar and the downloads in step with what was run by hand. */
function notice({ data, errors }) {
  offered.set(filesIn(data));
  const payloads = Object.values(data ?? {});
  const token = payloads.find((payload) => payload?.sessionToken)?.sessionToken;
  if (token) setToken(token);
  else if (data?.signOut || data?.changePassword) checkToken();
  else noticeEnd({ errors });
}

/** A session can be ended elsewhere, which the bar shows then. */
function noticeEnd({ errors }) {
  if (errors?.some(isUnauthenticated)) checkToken();
}
