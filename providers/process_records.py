"""What the process deployer keeps on disk: which versions are wanted, and which process is which instance.

<folder>/<environment>/<service>/<version>/wanted.json    what `start` asked for, until `stop`
<folder>/<environment>/<service>/<version>/passed.json    which step of which rollout was here last
<folder>/<environment>/<service>/<version>/<slot>.json    one instance, written before it is started
<folder>/<environment>/<service>/<version>/<slot>.log     what it printed

A version's baseline has a folder of its own, named like v1~baseline.
"""

import uuid
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from models.base import Payload
from models.deployment import Instance, ProcessDeployment
from models.fence import Fence
from models.ids import Group, ServiceRef
from providers.durable_files import remove_durably, replace_durably
from providers.fencing import Passed, let_pass

MARK = "HOLDFAST_INSTANCE"
"""The environment variable by which an instance is recognised when its record does not name its process."""

_LOG_LIMIT = 10 * 2**20


class Wanted(Payload):
    ref: ServiceRef
    version: Group
    spec: ProcessDeployment


class InstanceRecord(Payload):
    """One slot of a version. Without a pid, the process may or may not have been started: its mark tells.

    `process_started` is as `host_ports.process_started` tells it; a pid alone may have been given to another process
    since. `ending` is set before the instance is told to end: it may answer a little longer, but is not to be counted
    on.
    """

    slot: int
    port: int
    nonce: str
    started_at: datetime
    pid: int | None = None
    process_started: float | None = None
    ending: bool = False


class VersionFolder:
    """The files of one version of one service. Every method raises OSError."""

    def __init__(self, root: Path, ref: ServiceRef, version: Group) -> None:
        self.ref = ref
        self.version = version
        self.path = root.absolute() / ref.environment / ref.service / version

    @classmethod
    def all_under(cls, root: Path, ref: ServiceRef | None = None) -> "Iterator[VersionFolder]":
        """Every version that was ever started, of one service or of all."""
        pattern = f"{ref.environment}/{ref.service}/*" if ref else "*/*/*"
        for path in sorted(root.glob(pattern)):
            if path.is_dir():
                environment, service = path.parts[-3:-1]
                yield cls(root, ServiceRef(environment=environment, service=service), path.name)

    def wanted(self) -> Wanted | None:
        try:
            return Wanted.model_validate_json((self.path / "wanted.json").read_bytes())
        except (FileNotFoundError, ValidationError):
            return None

    def want(self, spec: ProcessDeployment) -> None:
        wanted = Wanted(ref=self.ref, version=self.version, spec=spec)
        replace_durably(self.path / "wanted.json", wanted.model_dump_json(indent=1))

    def want_no_more(self) -> None:
        remove_durably(self.path / "wanted.json")

    def check(self, fence: Fence | None) -> Passed | None:
        """Who has come last once this one has. Raises StaleOrderError when it comes too late."""
        try:
            known = Passed.model_validate_json((self.path / "passed.json").read_bytes())
        except (FileNotFoundError, ValidationError):
            known = None
        return let_pass(known, fence, f"a change of {self.ref.service} {self.version}")

    def let_pass(self, fence: Fence | None) -> None:
        """Remember who came last, for as long as the folder stands. Raises StaleOrderError."""
        passed = self.check(fence)
        if passed and fence:
            replace_durably(self.path / "passed.json", passed.model_dump_json())

    def records(self) -> list[InstanceRecord]:
        """Every record that can be read; a damaged one is as good as none, as the mark finds its process."""
        found = []
        for path in sorted(self.path.glob("[0-9]*.json")):
            try:
                found.append(InstanceRecord.model_validate_json(path.read_bytes()))
            except (FileNotFoundError, ValidationError):
                continue
        return found

    def new_record(self, slot: int, port: int, started_at: datetime) -> InstanceRecord:
        return InstanceRecord(slot=slot, port=port, nonce=uuid.uuid4().hex, started_at=started_at)

    def write(self, record: InstanceRecord) -> None:
        replace_durably(self.path / f"{record.slot}.json", record.model_dump_json(indent=1))

    def forget(self, slot: int) -> None:
        remove_durably(self.path / f"{slot}.json")

    def mark(self, record: InstanceRecord) -> str:
        """What the instance carries: enough to write its record again."""
        return f"{self.path}#{record.slot}#{record.port}#{record.nonce}"

    def parse_mark(self, mark: str) -> tuple[int, int, str] | None:
        """Slot, port and nonce of a mark of this version; None for another's."""
        path, *rest = mark.rsplit("#", 3)  # from the right, as a folder's name may hold the separator
        if path != str(self.path) or len(rest) != len(("slot", "port", "nonce")):
            return None
        return int(rest[0]), int(rest[1]), rest[2]

    def log(self, slot: int) -> Path:
        return self.path / f"{slot}.log"

    def trim_log(self, slot: int) -> None:
        """Keep one earlier log of an instance that prints much."""
        log = self.log(slot)
        if log.exists() and log.stat().st_size > _LOG_LIMIT:
            log.replace(log.with_suffix(".log.1"))

    def instance(self, record: InstanceRecord) -> Instance:
        return Instance(
            name=f"{self.ref.service}-{self.version}-{record.slot}",
            version=self.version,
            address=f"127.0.0.1:{record.port}",
            pid=record.pid or 0,
            started_at=record.started_at,
            log=str(self.log(record.slot)),
            ending=record.ending,
        )
