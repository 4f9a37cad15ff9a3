// The tabs that GraphiQL opens with: ../examples/NN-name.graphql with its variables beside it,
// in the order of their numbers. Plain files, so that the server's tests can run them too.
// (Vite reads the calls below while building: their arguments have to be literals.)
const operations = import.meta.glob("../examples/*.graphql", {
  query: "?raw",
  import: "default",
  eager: true,
});
const variables = import.meta.glob("../examples/*.json", {
  query: "?raw",
  import: "default",
  eager: true,
});

export const examples = Object.keys(operations)
  .sort()
  .map((path) => ({
    query: operations[path],
    variables: variables[path.replace(/graphql$/, "json")],
  }));
