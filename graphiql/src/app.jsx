import { GraphiQL } from "graphiql";
import { Downloads } from "./downloads.jsx";
import { examples } from "./examples.js";
import { fetcher } from "./fetcher.js";
import { SessionBar } from "./session-bar.jsx";

// Without the history plugin: it would keep every operation with its variables.
const plugins = [];

/*
 * storage={null}: GraphiQL would write queries, variables and headers of every tab into
 * localStorage, and in this API those hold passwords, API secrets and tokens, where any later
 * user of the browser profile could read them. With no storage at all the tabs live in memory
 * and end with the page. The headers editor is off for the same reason, and because the
 * session bar is the one place for a token.
 */
export function App() {
  return (
    <>
      <SessionBar />
      <Downloads />
      <main>
        <GraphiQL
          fetcher={fetcher}
          storage={null}
          plugins={plugins}
          isHeadersEditorEnabled={false}
          shouldPersistHeaders={false}
          defaultTabs={examples}
          initialVariables={examples[0].variables} // GraphiQL forgets those of the first tab
          defaultEditorToolsVisibility="variables"
          defaultQuery=""
        >
          <GraphiQL.Logo>
            <></>
          </GraphiQL.Logo>
        </GraphiQL>
      </main>
    </>
  );
}
