"""Draws a spec without a browser and without the network.

One render takes 40 to 80 ms and holds the interpreter's lock: never draw inside a request.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Final
from xml.etree import ElementTree

import vl_convert

from kring.charts.theme import PAPER, Json, Spec
from kring.charts.words import legible

SVG: Final = "http://www.w3.org/2000/svg"
NOISE: Final = ("class", "role", "aria-roledescription", "aria-hidden", "aria-label", "pointer-events", "version")
REFERENCE: Final = re.compile(r"url\(#([^)]+)\)")

ElementTree.register_namespace("", SVG)


def svg(spec: Spec, *, prefix: str = "k") -> str:
    """`spec` as one `<svg>` element, without script, style or address.

    Ids are numbered from `prefix`, so that drawings on one page do not share them and the same
    spec gives the same text.
    """
    root = ElementTree.fromstring(vl_convert.vegalite_to_svg(json.dumps(_legible(spec)), allowed_base_urls=[]))
    _prune(root)
    _number(root, prefix)
    return ElementTree.tostring(root, encoding="unicode")


def png(spec: Spec, *, scale: float = 2.0) -> bytes:
    """`spec` as PNG on white paper, `scale` pixels for each unit of the spec."""
    opaque: Spec = spec | {"background": PAPER}
    return bytes(vl_convert.vegalite_to_png(json.dumps(_legible(opaque)), scale=scale, allowed_base_urls=[]))


def _legible(part: Json) -> Json:
    """The same structure in plain dicts and lists, every text legible."""
    if isinstance(part, str):
        return legible(part)
    if isinstance(part, Mapping):
        return {name: _legible(inner) for name, inner in part.items()}
    if isinstance(part, Sequence):
        return [_legible(inner) for inner in part]
    return part


def _prune(element: ElementTree.Element) -> None:
    """Take out what the renderer adds for scripts, and what can't be seen."""
    for name in NOISE:
        element.attrib.pop(name, None)
    for child in list(element):
        _prune(child)
        empty = child.tag == f"{{{SVG}}}path" and "h0v0h0" in child.get("d", "h0v0h0").replace(",", "")
        hidden = child.get("opacity") == "0" or child.get("display") == "none"
        bare = child.tag == f"{{{SVG}}}g" and len(child) == 0
        if empty or hidden or bare:
            element.remove(child)


def _number(root: ElementTree.Element, prefix: str) -> None:
    """Rename ids in the order in which they stand, and what points at them."""
    names = {
        element.attrib["id"]: f"{prefix}{number}"
        for number, element in enumerate(element for element in root.iter() if "id" in element.attrib)
    }
    for element in root.iter():
        for key, value in element.attrib.items():
            if key == "id":
                element.attrib[key] = names[value]
            elif "url(#" in value:
                element.attrib[key] = REFERENCE.sub(lambda found: f"url(#{names[found[1]]})", value)
