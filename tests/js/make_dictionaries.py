"""Makes `fixtures/dictionaries.json`: dictionaries and frames as the server makes them, for the tests of the JavaScript client.

From the root of the project: `python -m tests.js.make_dictionaries`.
"""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import msgspec
import zstandard

from streaming.dialects.geo.dictionary_training import train

FIXTURE = Path(__file__).parent / "fixtures" / "dictionaries.json"


def message(number: int) -> dict[str, Any]:
    place = {"type": "Point", "coordinates": [5 + number * 7 % 100 / 10, 46 + number * 13 % 100 / 50]}
    properties = {"callsign": f"SWR{number}", "speed": number * 17 % 900, "kind": "aircraft", "climbing": number % 3 == 0}
    feature = {"type": "Feature", "id": f"a-{number}", "geometry": place, "properties": properties}
    named = {"type": "feature_data", "subscription_id": "features-1", "change_type": "updated", "layer": "vehicles", "id": f"a-{number}"}
    return {**named, "geojson": msgspec.json.encode(feature).decode(), "cursor": f"e:{number}", "reason": None}


def case(name: str, encode: Any, size: int, **options: Any) -> dict[str, Any]:
    dictionary = train([encode(message(number)) for number in range(400)], size)
    assert dictionary is not None
    compressor = zstandard.ZstdCompressor(dict_data=zstandard.ZstdCompressionDict(dictionary), **options)
    texts = [encode(message(number)) for number in (3, 401, 500, 777)]
    frames = [b64encode(compressor.compress(text)).decode() for text in texts]
    return {
        "name": name,
        "dictionary": b64encode(dictionary).decode(),
        "frames": frames,
        "texts": [b64encode(each).decode() for each in texts],
    }


def main() -> None:
    cases = [
        case("JSON", msgspec.json.encode, 2048, level=3),
        case("MessagePack, with checksums", msgspec.msgpack.encode, 1024, level=3, write_checksum=True),
        case("JSON, compressed as well as can be", msgspec.json.encode, 4096, level=19),
    ]
    FIXTURE.write_text(json.dumps(cases, indent=1) + "\n")


if __name__ == "__main__":
    main()
