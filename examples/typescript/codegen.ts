import type { CodegenConfig } from "@graphql-codegen/cli";

const config: CodegenConfig = {
  schema: "../../schema/schema.graphql", // or a server: "http://127.0.0.1:8000/graphql"
  documents: "src/credential.ts",
  generates: {
    "src/gql/": {
      preset: "client",
      presetConfig: { fragmentMasking: false },
      config: { enumsAsTypes: true, strictScalars: true, useTypeImports: true, scalars: { DateTime: "string" } },
    },
  },
  emitLegacyCommonJSImports: false,
};

export default config;
