"""The operations that GraphiQL opens with fit the schema, and so do the variables beside them."""

import json
from pathlib import Path

import pytest
from graphql import GraphQLSchema, OperationDefinitionNode, build_schema, parse, validate
from graphql.execution.values import get_variable_values

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "graphiql/examples").glob("*.graphql"))
NAMES = [
    "SignIn",
    "Viewer",
    "ChooseServiceAndIdentity",
    "GenerateViewAndCopy",
    "GenerateEncryptedFile",
    "LogIn",
    "VerifyCredential",
    "Reassociate",
    "Revoke",
    "RevealApiKey",
    "Credentials",
    "AuditEvents",
    "WatchCredentials",
    "Rotate",
    "Users",
    "CreateUser",
    "SubmitIdentity",
    "ApproveIdentity",
    "CreateService",
    "SuspendService",
    "UpdateCredentialPolicy",
    "CreatePersonalAccessToken",
    "CreateGatewayToken",
    "CreateWebhookEndpoint",
]


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    return build_schema((ROOT / "schema/schema.graphql").read_text())


def operation_of(example: Path) -> OperationDefinitionNode:
    [operation] = parse(example.read_text()).definitions
    assert isinstance(operation, OperationDefinitionNode)
    return operation


def test_the_tabs_follow_the_main_job() -> None:
    names = [operation.name.value for example in EXAMPLES if (operation := operation_of(example)).name]
    assert names == NAMES


@pytest.mark.parametrize("example", EXAMPLES, ids=NAMES)
def test_the_operation_is_valid(example: Path, schema: GraphQLSchema) -> None:
    assert validate(schema, parse(example.read_text())) == []


@pytest.mark.parametrize("example", EXAMPLES, ids=NAMES)
def test_the_variables_fit_the_operation(example: Path, schema: GraphQLSchema) -> None:
    definitions = operation_of(example).variable_definitions or ()
    variables = json.loads(example.with_suffix(".json").read_text())
    assert not isinstance(get_variable_values(schema, definitions, variables), list), "errors, one by one"
    # Each variable is in sight, and each in sight does something.
    assert set(variables) == {definition.variable.name.value for definition in definitions}


@pytest.mark.parametrize("example", EXAMPLES, ids=NAMES)
def test_the_operation_begins_by_saying_what_to_do(example: Path) -> None:
    assert example.read_text().startswith(f"# {EXAMPLES.index(example) + 1}. ")
