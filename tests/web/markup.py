"""What is wrong with a page's HTML, by itself: for tests that want to know without a browser."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from urllib.parse import urlencode
from xml.etree.ElementTree import Element

import html5lib

__all__ = ["complaints", "links"]

_LABELLED = {"input", "select", "textarea"}
_NAMED_BY_THEMSELVES = {"hidden", "submit", "button", "reset", "image"}
_REFERRING = ("aria-describedby", "aria-labelledby", "aria-controls", "aria-owns")
_NEUTRAL = {"Notes"}


def complaints(html: str, language: str) -> list[str]:
    """Each thing that is wrong, in a line of its own."""
    parser = html5lib.HTMLParser(namespaceHTMLElements=False)
    root = parser.parse(html)
    wrong = [f"not valid at {place}: {code} {facts}" for place, code, facts in parser.errors]
    if root.get("lang") != language:
        wrong.append(f"lang is {root.get('lang')!r}, not {language!r}")
    headings = len(list(root.iter("h1")))
    if headings != 1:
        wrong.append(f"{headings} h1")
    title = "".join(root.find("head/title").itertext()) if root.find("head/title") is not None else None
    if title not in _NEUTRAL:
        wrong.append(f"the title is not neutral: {title!r}")
    return [*wrong, *_about_ids(root), *_about_labels(root), *_about_code(root)]


def links(html: str) -> list[str]:
    """Where its links lead, in their order, and its forms that only ask for a page."""
    root = html5lib.parse(html, namespaceHTMLElements=False)
    forms = (each for each in root.iter("form") if each.get("method", "get").lower() == "get")
    return [*(each.get("href", "") for each in root.iter("a")), *map(_asked, forms)]


def _asked(form: Element) -> str:
    """The address that a form asks for as it stands; where it needs a choice, with the first one."""
    given: list[tuple[str, str]] = []
    chosen = {
        each.get("name") for each in form.iter("input") if each.get("type") == "radio" and "checked" in each.attrib
    }
    for each in form.iter():
        name, kind = each.get("name"), each.get("type", "")
        if not name or "disabled" in each.attrib:
            continue
        if each.tag == "select":
            options = list(each.iter("option"))
            first = next((option for option in options if "selected" in option.attrib), options[0] if options else None)
            given += [(name, first.get("value", ""))] if first is not None else []
        elif each.tag == "textarea":
            given.append((name, each.text or ""))
        elif each.tag == "button" and kind in ("", "submit"):
            given.append((name, each.get("value", "")))
        elif each.tag == "input" and kind in ("radio", "checkbox"):
            first_of_needed = kind == "radio" and name not in chosen
            if "checked" in each.attrib or first_of_needed:
                given.append((name, each.get("value", "on")))
                chosen.add(name)
        elif each.tag == "input":
            given.append((name, each.get("value", "")))
    return f"{form.get('action', '').partition('?')[0]}?{urlencode(given)}"


def _about_ids(root: Element) -> Iterator[str]:
    known = Counter(each.get("id") for each in root.iter() if each.get("id") is not None)
    for name, count in known.items():
        if count > 1:
            yield f"{count} times the id {name!r}"
        if not name or any(each.isspace() for each in name):
            yield f"no id: {name!r}"
    for each in root.iter():
        for attribute in _REFERRING:
            for name in (each.get(attribute) or "").split():
                if name not in known:
                    yield f"{each.tag} {attribute} refers to {name!r}, which is not there"
        if each.tag in ("button", "input", "select", "textarea") and each.get("form", "") not in known | {"": 1}:
            yield f"{each.tag} {each.get('name')!r} belongs to the form {each.get('form')!r}, which is not there"
        if each.tag == "a" and each.get("href", "").startswith("#") and each.get("href", "")[1:] not in known:
            yield f"a link leads to {each.get('href')!r}, which is not there"


def _about_labels(root: Element) -> Iterator[str]:
    controls = {each.get("id"): each for each in root.iter() if each.tag in _LABELLED}
    told = set()
    for label in root.iter("label"):
        own = [each for each in label.iter() if each.tag in _LABELLED]
        if label.get("for") is not None:
            own += [controls[label.get("for")]] if label.get("for") in controls else []
            if label.get("for") not in controls:
                yield f"a label is for {label.get('for')!r}, which is no control"
        if len({id(each) for each in own}) != 1:
            yield f"a label belongs to {len(own)} controls: {''.join(label.itertext()).strip()!r}"
        told |= {id(each) for each in own}
    for each in root.iter():
        if each.tag not in _LABELLED or (each.tag == "input" and each.get("type") in _NAMED_BY_THEMSELVES):
            continue
        if id(each) not in told and not each.get("aria-label") and not each.get("aria-labelledby"):
            yield f"{each.tag} {each.get('name')!r} has no label"
    for each in root.iter("fieldset"):
        if each.find("legend") is None:
            yield f"a fieldset without a legend: {each.get('id')!r}"


def _about_code(root: Element) -> Iterator[str]:
    """Nothing inline, nothing from elsewhere."""
    for each in root.iter():
        if not isinstance(each.tag, str):
            continue
        for name in each.attrib:
            if name.startswith("on") or name == "style":
                yield f"{each.tag} has code or style inline: {name}"
        source = each.get("src") or (each.get("href") if each.tag == "link" else None) or ""
        if source and not source.startswith(("/", "data:")):
            yield f"{each.tag} comes from elsewhere: {source}"
        if each.tag == "style" or (each.tag == "script" and not each.get("src")):
            yield f"{each.tag} inline"
