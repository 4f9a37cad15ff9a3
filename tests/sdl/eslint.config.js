// How the schema is linted: by every rule of the two sets, but for what says why not.
import graphql from "@graphql-eslint/eslint-plugin";

const schema = "schema/schema.graphql";
const { "schema-recommended": recommended, "schema-relay": relay } = graphql.configs;

export default [
  {
    files: [schema],
    languageOptions: { parser: graphql.parser, parserOptions: { graphQLConfig: { schema } } },
    plugins: { "@graphql-eslint": graphql },
    rules: {
      ...recommended.rules,
      ...relay.rules,
      "@graphql-eslint/require-description": [
        "error",
        {
          types: true,
          FieldDefinition: true,
          InputValueDefinition: true,
          EnumValueDefinition: true,
          DirectiveDefinition: true,
          // Of the GraphQL specification, which describes it.
          ignoredSelectors: ["DirectiveDefinition[name.value=oneOf]"],
        },
      ],
      // Nobody asks again for a page, an answer or a part of something: only what is a Node has an id.
      "@graphql-eslint/strict-id-in-types": [
        "error",
        {
          exceptions: {
            suffixes: ["Connection", "Edge", "Payload"],
            types: [
              "CredentialChange",
              "CredentialPolicy",
              "CredentialUsage",
              "EncryptedFileDelivery",
              "File",
              "PageInfo",
              "UserError",
              "ViewAndCopyDelivery",
              "Viewer",
            ],
          },
        },
      ],
      // What is no page may be a plain list: permissions, a connection's nodes, userErrors.
      "@graphql-eslint/relay-edge-types": ["error", { listTypeCanWrapOnlyEdgeType: false }],
    },
  },
];
