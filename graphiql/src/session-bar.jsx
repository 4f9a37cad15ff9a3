import { useState } from "react";
import { offered } from "./files.js";
import { session, setToken, signIn, signOut } from "./session.js";
import { useStore } from "./store.js";

export function SessionBar() {
  const { token, status, signedIn } = useStore(session);
  const [problem, setProblem] = useState("");

  async function attempt(action) {
    setProblem("");
    try {
      setProblem((await action()).join(" "));
    } catch (error) {
      setProblem(error.message);
    }
  }

  function leave() {
    offered.set([]);
    return attempt(signOut);
  }

  return (
    <header className="bar">
      <h1>Sealkey</h1>
      {!signedIn && <SignInForm attempt={attempt} />}
      <label className="token">
        Session token
        <input
          type="password"
          autoComplete="off"
          spellCheck={false}
          placeholder="sign in, or paste one"
          value={token}
          onChange={(event) => setToken(event.target.value)}
        />
      </label>
      <output className={signedIn ? "status signed-in" : "status"}>{status}</output>
      {token && (
        <button type="button" onClick={leave}>
          {signedIn ? "Sign out" : "Forget"}
        </button>
      )}
      <a className="schema" href="/schema.graphql" download>
        Download the schema (SDL)
      </a>
      {problem && !signedIn && (
        <p role="alert" className="problem">
          {problem}
        </p>
      )}
    </header>
  );
}

function SignInForm({ attempt }) {
  function submit(event) {
    // The browser must not send the form itself: the page's policy forbids it as well.
    event.preventDefault();
    const { email, password } = event.target.elements;
    attempt(() => signIn(email.value, password.value));
    password.value = "";
  }

  return (
    <form onSubmit={submit} aria-label="Sign in">
      <label>
        Email
        <input name="email" type="email" autoComplete="username" required />
      </label>
      <label>
        Password
        <input name="password" type="password" autoComplete="current-password" required />
      </label>
      <button type="submit">Sign in</button>
    </form>
  );
}
