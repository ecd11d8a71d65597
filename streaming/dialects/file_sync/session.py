"""The session of one file sync client."""

from __future__ import annotations

import sys
import time
import zlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from streaming.core.deliveries import Frames, LogQueue, Reserved
from streaming.core.errors import CloseCode, StreamError
from streaming.core.feed import Cursor
from streaming.core.selection import Steps
from streaming.core.view import View
from streaming.engine.conf import conf
from streaming.engine.session import Session
from streaming.files.changes import ANYTHING, Actor
from streaming.files.clients import claim
from streaming.files.folder import Folder
from streaming.files.operations import PathFilter
from streaming.files.rights import Rights, rights_of

from .encoder import OperationEncoder, Wire
from .messages import FEATURES, FileOperation, Ignored, Ping, ProtocolError, Subscribe, code_of, decode, fail
from .service import FileSyncService

if TYPE_CHECKING:
    from streaming.core.replica import Replica
    from streaming.engine.client_connection import ClientConnection

RIGHT_FOR = {"Create": "write", "Update": "write", "Delete": "delete"}


class FileSyncSession(Session):
    """Answers one client's messages, and announces changes to it from its Subscribe on."""

    dialect: ClassVar[str] = "files"

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.service = connection.runtime.service(FileSyncService)
        self.client_id, self.user, self.number = "", "", 0
        self._wire = Wire(connection.sender.framing)
        self._subscription: Subscribe | None = None
        self._view: View | None = None
        self._rights: Rights | None = None
        self._access_changes = 0
        self._epoch = ""
        self._since = 0.0

    # -- what others ask -------------------------------------------------------

    @property
    def position(self) -> int:
        """The number of the last change that it was sent."""
        if self._view is None or self._view.follows is None:
            return 0
        waiting = self._view.queue.oldest if isinstance(self._view.queue, LogQueue) else None
        return self._view.follows.seq if waiting is None or waiting.seq is None else waiting.seq - 1

    @property
    def since(self) -> datetime:
        """When it subscribed."""
        return datetime.fromtimestamp(self._since, UTC)

    @property
    def address(self) -> str:
        """Where the client is."""
        return self.connection.address

    @property
    def username(self) -> str:
        """Who it acts for."""
        return self.connection.principal.username

    def describe(self) -> list[dict[str, Any]]:
        """The subscription, for the admin."""
        if self._subscription is None:
            return []
        patterns = {"patterns": list(self._subscription.patterns)} if self._subscription.patterns else {}
        return [{"id": self.client_id, "kind": "files", "feed": "files", "filter": patterns, "since": self._since}]

    def be_replaced(self) -> None:
        """The same client has connected anew."""
        self._error("replaced", "the same client has connected anew")
        self.connection.close(CloseCode.SUPERSEDED, "the same client has connected anew")

    def tick(self, now: float) -> None:
        """A folder that was read anew, because Redis lost some of its log, has changes that nobody can number."""
        if self._view is not None and self._view.follows is not None and self._view.follows.epoch != self._epoch:
            self.connection.close(CloseCode.RESTART, "the folder was read anew: reconnect, and list it")

    def access_changed(self) -> None:
        """What the client may read may have changed."""
        self._rights = None
        self._access_changes += 1
        if self._view is not None:
            self.connection.runtime.spawn(self._review())

    def expire(self, reason: StreamError) -> None:
        """Send the reason why the connection is about to be closed."""
        self._error(code_of(reason), reason.message)

    def close(self) -> None:
        """The connection is gone."""
        if self.client_id:
            self.service.remove(self)
        self._leave()

    # -- messages --------------------------------------------------------------

    async def receive(self, data: str | bytes) -> None:
        """Handle one message. An error is answered, and never ends the connection."""
        operation_id: str | None = None
        try:
            message = decode(self._inflated(data), conf.FILES_DEPTH, conf.FILES_PATTERNS)
            if isinstance(message, Ping):
                self._send("Pong")
            elif isinstance(message, Subscribe):
                await self._subscribe(message)
            elif isinstance(message, FileOperation):
                operation_id = message.operation_id
                await self._operate(message)
            else:
                assert isinstance(message, Ignored)
        except ProtocolError as error:
            self._error(error.code, error.message, operation_id)
        except StreamError as error:
            self._error(code_of(error), error.message, operation_id)

    def _inflated(self, data: str | bytes) -> str | bytes:
        """What a client that asked for `gzip` has compressed, up to the size of a message."""
        if isinstance(data, str) or not data.startswith(b"\x1f\x8b") or self._wire.gzip_above is None:
            return data
        inflate = zlib.decompressobj(wbits=31)
        try:
            message = inflate.decompress(data, conf.FILES_FRAME_BYTES)
        except zlib.error:
            fail("json", "the message is not gzip")
        if not inflate.eof:
            fail("json", f"messages may have {conf.FILES_FRAME_BYTES} bytes")
        return message

    # -- subscribing -----------------------------------------------------------

    async def _subscribe(self, message: Subscribe) -> None:
        rights = await self._load_rights()
        if not rights.allows_some("list"):
            raise StreamError("forbidden", "you may not follow this folder")
        filter = PathFilter(rights.tops("list"), message.patterns)
        folder = await self.service.files.folder()
        user = str(self.connection.principal.user_id or "")
        number = await claim(message.client_id, user)
        await folder.refresh()
        replica = folder.index.replica
        reached = await self._reach(replica, message)
        _check_filters(replica, filter)
        if self.client_id != message.client_id and self.client_id:
            self.service.remove(self)
        self._leave()
        self.client_id, self.user, self.number, self._subscription = message.client_id, user, number, message
        # Nothing awaits from here on until it has joined, so nothing is missed and nothing comes twice.
        self._wire = Wire(self._wire.framing, conf.FILES_GZIP_BYTES if "gzip" in (message.features or ()) else None)
        self._view = self._make_view(filter)
        replica.join(self._view)
        self._epoch = replica.epoch
        selection = replica.select_steps(filter, reached) if reached is not None else None
        resync = message.since is not None and selection is None
        self._count(message, selection)
        ack = self._wire.message("Ack", operation_id="subscribe", **self._details(replica, message, resync))
        place = self._view.reserve()
        self._since, self.revision = time.time(), self.revision + 1
        await self._replay(place, ack, selection)
        await self.service.add(self)

    async def _reach(self, replica: Replica, message: Subscribe) -> Cursor | None:
        """The client's place in the log, if everything since then is at hand."""
        if message.since is None or message.epoch not in (None, replica.epoch):
            return None
        since = Cursor(replica.epoch, message.since)
        return since if await self.connection.runtime.hub.reach(replica, since) else None

    def _make_view(self, filter: PathFilter) -> View:
        assert self._subscription is not None
        encoder = OperationEncoder.for_client(self._wire, filter, "seq" in (self._subscription.features or ()))
        # Nothing is merged or dropped: a client that is too slow is closed, and comes back with `since`.
        return View(self.connection.outbox, encoder, filter, queue=LogQueue(encoder, sys.maxsize))

    def _details(self, replica: Replica, message: Subscribe, resync: bool) -> dict[str, Any]:
        """What only clients that speak of it are sent."""
        if message.features is None and message.since is None:
            return {}
        features = message.features or frozenset()
        details: dict[str, Any] = {"seq": replica.seq, "resync": resync, "features": [each for each in FEATURES if each in features]}
        return {**details, "epoch": replica.epoch} if "epoch" in features else details

    async def _replay(self, place: Reserved, ack: list[Any], selection: Steps | None) -> None:
        """Find what the client has missed, in turns; what happens meanwhile waits behind it."""
        view, outbox = self._view, self.connection.outbox
        assert view is not None
        if selection is not None and selection.small:
            selection.run()
        elif selection is not None:
            await self.connection.runtime.hub.turns.finish((outbox, "selections"), selection.step, "selecting")
        bulk = [] if selection is None else [view.bulk_of(selection)]
        self.service.counts["changes"] += 0 if selection is None else len(selection)
        outbox.fill(place, [Frames(ack), *bulk])

    def _count(self, message: Subscribe, selection: Steps | None) -> None:
        if message.since is not None:
            self.service.counts["resync" if selection is None else "replayed"] += 1

    def _leave(self) -> None:
        view, self._view, self._subscription = self._view, None, None
        if view is not None:
            view.leave()

    async def _review(self) -> None:
        """Follow what may be read now; nothing, if the client may read nothing any more."""
        rights = await self._load_rights()
        if self._view is None or self._subscription is None or self._view.follows is None:
            return
        if not rights.allows_some("list"):
            self._leave()
            self._error("forbidden", "you may not follow this folder any more")
            return
        filter = PathFilter(rights.tops("list"), self._subscription.patterns)
        if filter.key != self._view.filter.key:
            replica = self._view.follows
            replica.leave(self._view)
            self._view = self._make_view(filter)
            replica.join(self._view)

    # -- operations ------------------------------------------------------------

    async def _operate(self, message: FileOperation) -> None:
        if self._subscription is None:
            fail("not_subscribed", "subscribe first")
        await self._check_rights(message)
        folder = await self.service.files.folder()
        # The acknowledgement comes before the announcement, which is on its way while the change is being made.
        place = self.connection.outbox.reserve(owner=self)
        try:
            await self._carry_out(folder, message)
        except BaseException:
            self.connection.outbox.forget(self)
            raise
        self.connection.outbox.fill(place, [Frames(self._wire.message("Ack", operation_id=message.operation_id))])

    async def _carry_out(self, folder: Folder, message: FileOperation) -> None:
        actor = Actor(self.username, self.client_id, self.address)
        if message.kind == "Delete":
            await folder.delete(message.path, actor, ANYTHING, message.recursive)
        elif message.kind == "Move":
            await folder.move(message.path, message.target, actor)
        elif message.directory:
            await folder.refresh()
            if not folder.index.is_directory(message.path):
                await folder.make_directory(message.path, actor)
        else:
            await folder.announce(message.path, message.hash, actor)

    async def _check_rights(self, message: FileOperation) -> None:
        rights = await self._load_rights()
        needed = [(RIGHT_FOR.get(message.kind, "delete"), message.path)]
        if message.kind == "Move":
            needed += [("read", message.path), ("write", message.target)]
        if not all(rights.allows(right, path) for right, path in needed):
            raise StreamError("forbidden", "you may not do this to this path")

    async def _load_rights(self) -> Rights:
        while self._rights is None:
            asked = self._access_changes
            rights = await rights_of(self.connection.principal)
            if asked == self._access_changes:  # else they may be those of before
                self._rights = rights
        return self._rights

    # -- sending ---------------------------------------------------------------

    def _send(self, kind: str, **fields: Any) -> None:
        self.connection.outbox.send(*self._wire.message(kind, **fields))

    def _error(self, code: str, message: str, operation_id: str | None = None) -> None:
        self.service.counts["errors"] += 1
        more = {} if operation_id is None else {"operation_id": operation_id}
        self._send("Error", message=message, code=code, **more)


def _check_filters(replica: Replica, filter: PathFilter) -> None:
    """Every change is compared with each different list of patterns, so there may not be too many of them."""
    if not filter.patterns or filter.key in replica.audiences:
        return
    others = sum(1 for each in replica.audiences.values() if isinstance(each.filter, PathFilter) and each.filter.patterns)
    if others >= conf.FILES_FILTERS:
        raise StreamError("too_many_filters", "the clients of this server have as many different patterns as they may; follow everything")
