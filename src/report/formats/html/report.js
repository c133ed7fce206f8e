/* SPDX-License-Identifier: Apache-2.0 */
/* Search, filters and keys. All of the report is in the document; this only hides and shows. */
"use strict";
(() => {
  const tools = document.getElementById("tools");
  if (!tools) return;
  const query = document.getElementById("query");
  const shown = document.getElementById("shown");
  const boxes = [...tools.querySelectorAll("input[type=checkbox]")];
  const targets = [...document.querySelectorAll("details.target")].map((element) => ({
    element,
    id: element.querySelector(".body").id,
    summary: element.querySelector("summary"),
    verdict: element.dataset.verdict,
    bad: "notPassed" in element.dataset,
    text: null,
    visible: true,
  }));
  const links = new Map(targets.map((target) => [target.id, []]));
  for (const link of document.querySelectorAll(".scroll a[href^='#t'], .timeline a"))
    links.get(link.getAttribute("href").slice(1))?.push(link);
  const canHighlight = typeof Highlight === "function" && CSS.highlights;
  let wanted = "";
  let unfolded = [];

  const textOf = (target) => (target.text ??= target.element.textContent.toLowerCase());

  /* Of open targets alone: a mark in what is closed would be seen by nobody. */
  function highlight() {
    if (!canHighlight) return;
    const ranges = [];
    for (const { element, visible } of targets) {
      if (!wanted || !visible) continue;
      const root = element.open ? element : element.querySelector("summary");
      const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
      for (let node = walker.nextNode(); node && ranges.length < 5000; node = walker.nextNode()) {
        const text = node.data.toLowerCase();
        if (text.length !== node.data.length) continue;
        for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + wanted.length)) {
          const range = new Range();
          range.setStart(node, at);
          range.setEnd(node, at + wanted.length);
          ranges.push(range);
        }
      }
    }
    CSS.highlights.set("found", new Highlight(...ranges));
  }

  /* What is found in a target lies in one of its folded parts more often than not. */
  function unfold(target) {
    if (!wanted || !target.visible || !target.element.open) return;
    for (const part of target.element.querySelectorAll("details:not([open])"))
      if (part.textContent.toLowerCase().includes(wanted)) {
        part.open = true;
        unfolded.push(part);
      }
  }

  /* What a run said last is what tells why it ended. */
  function showEnd(part) {
    const seen = part.open && part.closest("details.target").open;
    const pre = seen && !part.dataset.seen ? part.querySelector("pre") : null;
    if (!pre) return;
    part.dataset.seen = "1";
    pre.scrollTop = pre.scrollHeight;
  }

  function update() {
    wanted = query.value.trim().toLowerCase();
    for (const part of unfolded) part.open = false;
    unfolded = [];
    const only = boxes.filter((box) => box.checked).map((box) => box.value);
    let count = 0;
    for (const target of targets) {
      target.visible =
        (!only.length || only.includes(target.verdict) || (target.bad && only.includes("not-passed"))) &&
        (!wanted || textOf(target).includes(wanted));
      target.element.hidden = !target.visible;
      for (const link of links.get(target.id)) link.classList.toggle("dim", !target.visible);
      count += target.visible;
    }
    targets.forEach(unfold);
    shown.value = `${count} of ${targets.length} shown`;
    highlight();
  }

  function step(by) {
    const searched = wanted || boxes.some((box) => box.checked);
    const stops = targets.filter((target) => target.visible && (searched || target.bad));
    if (!stops.length) return;
    const here = targets.findIndex((target) => target.element.contains(document.activeElement));
    const places = stops.map((target) => targets.indexOf(target));
    let next = by > 0 ? places.findIndex((place) => place > here) : places.findLastIndex((place) => place < here);
    if (next < 0) next = by > 0 ? 0 : stops.length - 1;
    stops[next].summary.focus();
    stops[next].summary.scrollIntoView({ block: "center" });
  }

  function clear() {
    query.value = "";
    for (const box of boxes) box.checked = false;
    update();
  }

  function follow() {
    const target = targets.find((one) => `#${one.id}` === location.hash);
    if (!target) return;
    if (!target.visible) clear();
    target.element.open = true;
    target.summary.focus({ preventScroll: true });
    target.summary.scrollIntoView({ block: "center" });
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    const typing = event.target === query;
    if (event.key === "Escape") {
      clear();
      query.blur();
    } else if (typing && event.key === "Enter") {
      query.blur();
      step(1);
    } else if (typing) {
      return;
    } else if (event.key === "/") {
      query.focus();
      query.select();
    } else if (event.key === "j" || event.key === "n") {
      step(1);
    } else if (event.key === "k" || event.key === "p") {
      step(-1);
    } else {
      return;
    }
    event.preventDefault();
  });
  let timer = 0;
  query.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(update, targets.length > 100 ? 150 : 0);
  });
  for (const box of boxes) box.addEventListener("change", update);
  for (const target of targets)
    target.element.addEventListener("toggle", () => {
      unfold(target);
      highlight();
      for (const part of target.element.querySelectorAll("details.tail")) showEnd(part);
    });
  for (const part of document.querySelectorAll("details.tail")) {
    part.addEventListener("toggle", () => showEnd(part));
    showEnd(part);
  }
  window.addEventListener("hashchange", follow);
  window.addEventListener("load", follow); /* the browser has gone there by itself, and the bar may lie above it */
  tools.hidden = false;
  update();
  follow();
})();
