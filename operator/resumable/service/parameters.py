"""What handlers are given, by annotation."""

from typing import TypeAlias

from litestar import Request
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath

from resumable.service.admission import Admission
from resumable.service.caller import Caller
from resumable.service.store_threads import StoreThreads

AuthenticatedRequest: TypeAlias = Request[Caller, None, State]
RunId: TypeAlias = FromPath[str]
Calls: TypeAlias = NamedDependency[StoreThreads]
Gate: TypeAlias = NamedDependency[Admission]
SchemaVersion: TypeAlias = NamedDependency[str]
