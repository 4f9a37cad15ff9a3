"""A field like Sealkey's `viewer { role }` in Strawberry as it comes, under the same uvicorn as `sealkey serve`.

python -m bench.stock PORT
"""

import sys
from enum import Enum

import strawberry
import uvicorn
from strawberry.asgi import GraphQL


@strawberry.enum
class Role(Enum):
    OPERATOR = "OPERATOR"
    MEMBER = "MEMBER"


@strawberry.type
class Viewer:
    role: Role


@strawberry.type
class Query:
    @strawberry.field
    async def viewer(self) -> Viewer:
        return Viewer(role=Role.OPERATOR)


app: GraphQL[None, None] = GraphQL(strawberry.Schema(Query))

if __name__ == "__main__":
    uvicorn.run(
        "bench.stock:app",
        host="127.0.0.1",
        port=int(sys.argv[1]),
        lifespan="off",
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
    )
