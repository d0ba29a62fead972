"""Everything that a listener of the runtime answers: REST, and gRPC over HTTP/1.1."""

from dataclasses import dataclass

from modelyard.runtime.http.endpoints import Endpoints
from modelyard.runtime.http.grpc_calls import PREFIX, GrpcCalls
from modelyard.runtime.http.messages import Answer, Request


@dataclass(frozen=True, slots=True)
class Front:
    """A `messages.Handler`."""

    rest: Endpoints
    grpc: GrpcCalls

    def answer(self, request: Request) -> Answer:
        return (self.grpc if request.target.startswith(PREFIX) else self.rest).answer(request)

    def streams(self, target: str) -> bool:
        return self.grpc.streams(target)
