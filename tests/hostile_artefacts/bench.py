"""A store whose artefacts are changed behind its back, or made past its checks."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from models.manifest import digest_of
from models.store import Store
from tests.models.artefacts import make_manifest


@dataclass
class Bench:
    """A local store, and a folder for what must not come to be."""

    store: Store
    root: Path
    outside: Path

    def blob(self, digest: str) -> Path:
        """Where a blob is."""
        return self.root / "blobs/sha256" / digest.removeprefix("sha256:")

    def marker(self) -> Path:
        """What is there if code of an artefact was run."""
        return self.outside / "was-run"

    def saved(self, **changes: Any) -> str:
        """Save a model, and return its digest."""
        return self.store.save_manifest(make_manifest(self.store, **changes))

    def put_manifest(self, facts: dict[str, Any]) -> str:
        """Write a manifest past all checks."""
        data = orjson.dumps(facts, option=orjson.OPT_SORT_KEYS)
        path = self.root / "models/sha256" / digest_of(data).removeprefix("sha256:") / "manifest.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return digest_of(data)

    def facts(self) -> dict[str, Any]:
        """A good manifest, to be changed."""
        facts: dict[str, Any] = orjson.loads(make_manifest(self.store).canonical())
        return facts

    def with_file(self, name: str, data: bytes, *, backend: str = "onnx-fp32") -> str:
        """Save a model with another file of its encoder."""
        manifest = make_manifest(self.store, backend=backend)
        files = manifest.encoder.files | {name: self.store.put(data)}
        return self.store.save_manifest(
            manifest.model_copy(update={"encoder": manifest.encoder.model_copy(update={"files": files})})
        )

    def with_graph(self, data: bytes) -> str:
        """Save a model with another graph."""
        return self.saved(graphs={"onnx-fp32": self.store.put(data)})
