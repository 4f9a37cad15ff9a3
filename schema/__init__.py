"""The only Strawberry code: types, inputs, queries, mutations, and one table of errors."""
