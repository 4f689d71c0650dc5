"""The model store: content-addressed blobs and manifests at any fsspec URL.

Layout: ``blobs/sha256/<hex>``, ``models/sha256/<hex>/manifest.json``, ``checkpoints/<job>/<step>-<hex>``,
``tuning/sha256/<hex>/<machine>.json`` for what was measured of a model or an encoder and can be measured again, and
``deleted/sha256/<hex>`` for blobs in the moment before they are gone. Everything is written under a temporary name and
then renamed, and hashed again when it is read: a reader sees all of it or nothing.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import platformdirs

from models.files import hash_file, regular_file, write_whole
from models.manifest import Manifest, digest_of, read_manifest
from models.storage import Storage, unavailable
from schemas.errors import ArtefactCorrupt, ArtefactError, ArtefactNotFound

_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_MACHINE = re.compile(r"[A-Za-z0-9]{1,100}")
_JOB = re.compile(r"[A-Za-z0-9_-]{1,100}")
_CHECKPOINTS_KEPT = 2
_MANIFEST_BYTES = 16 * 1024 * 1024
"""The largest manifest: a few self-tests, a table of trials, and what a training was told."""


class Store:
    """A model store. Safe to use from several threads and processes at once."""

    def __init__(self, url: str, *, cache: Path | None = None) -> None:
        """Open the store at ``url``, such as ``file:///var/lib/models`` or ``s3://bucket/models``.

        Args:
            url: Where the store is; nothing is made there before the first write.
            cache: Where blobs of a remote store are kept for ``local_path``; by default the user's cache.
        """
        self.url = url
        self._storage = Storage(url)
        self._cache = cache or platformdirs.user_cache_path("lexstream") / "blobs"
        self._checked: dict[str, tuple[int, ...]] = {}
        self._written: set[str] = set()

    @property
    def is_local(self) -> bool:
        """Whether the blobs are files of this machine."""
        return self._storage.local

    def put(self, data: bytes) -> str:
        """Store ``data`` and return its digest. What is there already is not written again."""
        digest = digest_of(data)
        path = self._blob(digest)
        if not self._storage.exists(path):
            self._storage.write(path, data)
            self._written.add(digest)
        return digest

    def take_back(self) -> None:
        """Delete the blobs that were put through this object and that no model names: what they were for failed."""
        written, self._written = self._written, set()
        for digest in sorted(written):
            self.delete_blob(digest)

    def put_file(self, path: Path) -> str:
        """Store a file and return its digest."""
        return self.put(path.read_bytes())

    def get(self, digest: str, *, most_bytes: int | None = None) -> bytes:
        """Return the blob with this digest.

        Args:
            digest: The blob.
            most_bytes: The largest that it may be; by default the memory of this machine.

        Raises:
            ArtefactNotFound: It is not in the store.
            ArtefactCorrupt: What is stored has another digest or is too large, or ``digest`` is none.
            Unavailable: The store does not answer.
        """
        data = self._storage.read(self._blob(digest), what=digest, most_bytes=most_bytes)
        return _verified(data, digest=digest)

    def check(self, digest: str) -> None:
        """Refuse a blob that is missing or damaged, whether or not anybody is going to read it.

        A local one is hashed, unless it was and has not changed since. Of a remote one only its presence is asked:
        object stores keep checksums of their own, and whoever reads it verifies it.

        Raises:
            As ``get``.
        """
        if not self._storage.local:
            if not self.has(digest):
                raise ArtefactNotFound(f"got no {digest} in {self.url}, expected it to be there")
            return
        path = Path(self._blob(digest))
        with unavailable(self.url), suppress(FileNotFoundError):
            facts = path.lstat()
            known = facts.st_ino, facts.st_size, facts.st_mtime_ns
            if self._checked.get(digest) == known:
                return
            _verified_file(path, digest=digest)
            self._checked[digest] = known
            return
        raise ArtefactNotFound(f"got no {digest} at {path}, expected it to be there")

    def local_path(self, digest: str) -> Path:
        """Return a file with exactly this blob: the store's own where it is local, else a copy in the cache.

        Raises:
            As ``get``.
        """
        path = self._blob(digest)
        if self._storage.local:
            with unavailable(self.url):
                return _verified_file(Path(path), digest=digest)
        copy = self._cache / path.rpartition("/")[2]
        if not copy.exists() or hash_file(copy) != digest:
            data = self.get(digest)
            with unavailable(str(self._cache)):
                write_whole(copy, data)
        return copy

    def path_of(self, digest: str) -> Path:
        """Return where the blob with this digest is in a local store, whether or not it is what it should be."""
        return Path(self._blob(digest))

    def cached(self, digest: str) -> bytes:
        """Return the blob with this digest, from the cache where the store is remote.

        Raises:
            As ``get``.
        """
        if self._storage.local:
            return self.get(digest)
        with regular_file(self.local_path(digest)) as file:
            return _verified(file.read(), digest=digest)

    def has(self, digest: str) -> bool:
        """Whether a blob with this digest is there (its content is not checked)."""
        return self._storage.exists(self._blob(digest))

    def delete_blob(self, digest: str) -> None:
        """Delete one blob unless a model in the store names it; one that is not there is no error."""
        self._discard({digest: self._blob(digest)}, keep=())

    def save_manifest(self, manifest: Manifest) -> str:
        """Store a manifest and return the model's digest.

        Raises:
            ArtefactNotFound: A blob that it names is not in the store, or was deleted meanwhile; put them first.
        """
        self._require(manifest)
        data = manifest.canonical()
        digest = digest_of(data)
        self._storage.write(self._manifest(digest), data)
        self._require(manifest)  # from now on deletions see the manifest; one from before may have taken a blob
        return digest

    def load_manifest(self, digest: str) -> Manifest:
        """Return the manifest of the model with this digest.

        Raises:
            ArtefactNotFound: There is no such model.
            ArtefactCorrupt: It is not the manifest with this digest, or none at all.
            Unavailable: The store does not answer.
        """
        data = self._storage.read(self._manifest(digest), what=f"model {digest}", most_bytes=_MANIFEST_BYTES)
        return read_manifest(_verified(data, digest=digest), digest=digest)

    def models(self) -> list[str]:
        """Return the digests of all models in the store, those that are being written included."""
        return [
            f"sha256:{path.rstrip('/').rpartition('/')[2]}"
            for path in self._storage.list(f"{self._storage.root}/models/sha256")
        ]

    def delete_model(self, digest: str, *, keep: Iterable[str] = ()) -> None:
        """Delete a model, and those of its blobs that no other model in the store nor any of ``keep`` names.

        A model that is not there is no error, so that a deletion can be tried again.

        Args:
            digest: The model.
            keep: Digests of other models whose blobs stay, whether or not they are in this listing yet.
        """
        try:
            blobs = self.load_manifest(digest).blobs
        except ArtefactError:
            blobs = frozenset()
        self._storage.remove(self._manifest(digest))
        self._forget_tunings(digest)
        self._discard({blob: self._blob(blob) for blob in blobs}, keep=[other for other in keep if other != digest])

    def save_checkpoint(self, job_id: str, data: bytes, *, step: int) -> None:
        """Store a checkpoint of a job; the newest two are kept."""
        name = f"{step:012d}-{digest_of(data).removeprefix('sha256:')}"
        self._storage.write(f"{self._checkpoints(job_id)}/{name}", data)
        for old in self._storage.list(self._checkpoints(job_id))[:-_CHECKPOINTS_KEPT]:
            self._storage.remove(old)

    def latest_checkpoint(self, job_id: str) -> bytes | None:
        """Return the checkpoint with the highest step that is intact, or nothing."""
        for path in reversed(self._storage.list(self._checkpoints(job_id))):
            try:
                return _verified(self._storage.read(path, what=path), digest=f"sha256:{path.rpartition('-')[2]}")
            except ArtefactError:
                continue
        return None

    def delete_checkpoints(self, job_id: str) -> None:
        """Delete all checkpoints of a job."""
        for path in self._storage.list(self._checkpoints(job_id)):
            self._storage.remove(path)

    def put_tuning(self, digest: str, data: bytes, *, machine: str) -> None:
        """Keep what was measured of a model or blob on a machine, in the place of what was there."""
        self._storage.write(f"{self._tunings(digest)}/{_machine_name(machine)}.json", data)

    def get_tuning(self, digest: str, *, machine: str) -> bytes | None:
        """Return what was measured of a model or blob on a machine, or nothing. Nobody has verified it."""
        try:
            return self._storage.read(
                f"{self._tunings(digest)}/{_machine_name(machine)}.json", what=f"tuning of {digest}"
            )
        except ArtefactNotFound:
            return None

    def tunings(self, digest: str) -> list[bytes]:
        """Return what was measured of a model or blob, on all machines."""
        found = []
        for path in self._storage.list(self._tunings(digest)):
            with suppress(ArtefactNotFound):
                found.append(self._storage.read(path, what=f"tuning of {digest}"))
        return found

    def _require(self, manifest: Manifest) -> None:
        missing = sorted(digest for digest in manifest.blobs if not self.has(digest))
        if missing:
            raise ArtefactNotFound(
                f"got a manifest that names {', '.join(missing)}, expected all its blobs in {self.url}"
            )

    def _discard(self, blobs: Mapping[str, str], *, keep: Sequence[str]) -> None:
        """Put unnamed blobs aside, look again whether a manifest came meanwhile, and only then delete them.

        Whoever saves a manifest looks for its blobs afterwards. So either we see the manifest, and put the blob back,
        or they see that the blob is gone. What a deletion that died left aside is settled by the next one.
        """
        named = self._named_by((*self.models(), *keep))
        for digest, path in blobs.items():
            if digest not in named:
                self._storage.move(path, f"{self._aside()}/{_hex(digest)}")
        if aside := self._storage.list(self._aside()):
            named = self._named_by((*self.models(), *keep))
            for path in aside:
                digest = f"sha256:{path.rpartition('/')[2]}"
                if digest in named:
                    self._storage.move(path, self._blob(digest))
                else:
                    self._storage.remove(path)
                    self._forget_tunings(digest)

    def _forget_tunings(self, digest: str) -> None:
        for path in self._storage.list(self._tunings(digest)):
            self._storage.remove(path)

    def _named_by(self, models: Iterable[str]) -> frozenset[str]:
        named: set[str] = set()
        for digest in models:
            try:
                named |= self.load_manifest(digest).blobs
            except ArtefactNotFound:
                continue
        return frozenset(named)

    def _blob(self, digest: str) -> str:
        return f"{self._storage.root}/blobs/sha256/{_hex(digest)}"

    def _manifest(self, digest: str) -> str:
        return f"{self._storage.root}/models/sha256/{_hex(digest)}/manifest.json"

    def _tunings(self, digest: str) -> str:
        return f"{self._storage.root}/tuning/sha256/{_hex(digest)}"

    def _aside(self) -> str:
        return f"{self._storage.root}/deleted/sha256"

    def _checkpoints(self, job_id: str) -> str:
        name = job_id if _JOB.fullmatch(job_id) else hashlib.sha256(job_id.encode()).hexdigest()
        return f"{self._storage.root}/checkpoints/{name}"


def _hex(digest: str) -> str:
    match = _DIGEST.fullmatch(digest)
    if match is None:
        raise ArtefactCorrupt(f"got {digest!r} for a digest, expected sha256: and 64 lower-case hexadecimal digits")
    return match.group(1)


def _machine_name(machine: str) -> str:
    if not _MACHINE.fullmatch(machine):
        raise ArtefactCorrupt(f"got {machine!r} for a machine, expected letters and digits")
    return machine


def _verified(data: bytes, *, digest: str) -> bytes:
    if (got := digest_of(data)) != digest:
        raise ArtefactCorrupt(f"got {len(data)} bytes with the digest {got}, expected {digest}")
    return data


def _verified_file(path: Path, *, digest: str) -> Path:
    try:
        got = hash_file(path)
    except FileNotFoundError as error:
        raise ArtefactNotFound(f"got no {digest} at {path}, expected it to be there") from error
    if got != digest:
        raise ArtefactCorrupt(f"got a file with the digest {got}, expected {digest}")
    return path
