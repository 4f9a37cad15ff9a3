import { complaints, isUnauthenticated, post } from "./api.js";
import { createStore } from "./store.js";

/*
 * Who is signed in. The token is kept in this variable and nowhere else: not in localStorage or
 * sessionStorage, a cookie or the address. Loading the page again forgets it.
 */
const NOBODY = { token: "", status: "Not signed in", signedIn: false };
export const session = createStore(NOBODY);

const WHO = "query Who { viewer { user { email } role } }";
const SIGN_IN = `mutation SignIn($input: SignInInput!) {
  signIn(input: $input) { sessionToken userErrors { message } }
}`;
const SIGN_OUT = "mutation SignOut { signOut { userErrors { message } } }";

// Typing into the field should not ask the server at every letter.
const PAUSE_MS = 250;
let pause;

export function setToken(text) {
  const token = text.trim();
  clearTimeout(pause);
  session.set(token ? { token, status: "Checking…", signedIn: false } : NOBODY);
  if (token) pause = setTimeout(checkToken, PAUSE_MS);
}

/** Asks the server whose token this is. */
export async function checkToken() {
  const { token } = session.get();
  if (!token) return;
  const found = await whose(token);
  // The answer for a token that has been replaced meanwhile is of no use.
  if (session.get().token === token) session.set({ token, ...found });
}

async function whose(token) {
  try {
    const answer = await post({ query: WHO }, token);
    const viewer = answer.data?.viewer;
    if (viewer) return { signedIn: true, status: `Signed in as ${viewer.user.email} (${viewer.role})` };
    if (answer.errors?.some(isUnauthenticated)) return refused("this token is not valid, or no longer.");
    return refused(complaints(answer).join(" "));
  } catch (error) {
    return refused(`the server could not be asked. ${error.message}`);
  }
}

function refused(why) {
  return { signedIn: false, status: `Not signed in: ${why}` };
}

/** Returns what went wrong, a sentence each; nothing when signed in. */
export async function signIn(email, password) {
  const answer = await post({ query: SIGN_IN, variables: { input: { email, password } } });
  const token = answer.data?.signIn?.sessionToken;
  if (token) setToken(token);
  return complaints(answer, "signIn");
}

/** Forgets the token, and ends its session on the server if there is one. Returns as signIn does. */
export async function signOut() {
  const { token, signedIn } = session.get();
  setToken("");
  if (!signedIn) return [];
  return complaints(await post({ query: SIGN_OUT }, token), "signOut");
}
