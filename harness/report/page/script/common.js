// What the other scripts share: the data, words for numbers, elements, the tooltip.
"use strict";

const report = JSON.parse(document.getElementById("data").textContent);
const runs = report.summary.runs.map((run, index) => ({ ...run, index, record: report.records[index] }));

const kActivities = ["starting", "working", "computing", "waiting", "blocked", "asleep", "stopped", "leaving"];

function outcome(run) {
  if (run.passed) return "passed";
  return run.interrupted || run.skipped ? "cut" : "failed";
}
function outcomeWord(run) {
  return { passed: "passed", failed: run.broken ? "broken" : "failed", cut: run.skipped ? "skipped" : "interrupted" }[outcome(run)];
}

// 1234567 ns -> "1.23 ms"
function duration(ns) {
  if (ns === null || ns === undefined) return "-";
  const size = Math.abs(ns);
  const [unit, name] = size < 1e3 ? [1, "ns"] : size < 1e6 ? [1e3, "us"] : size < 1e9 ? [1e6, "ms"] : [1e9, "s"];
  const value = ns / unit;
  return `${unit === 1 || Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3)} ${name}`;
}
function byteCount(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  const names = ["KiB", "MiB", "GiB", "TiB"];
  let value = bytes, i = -1;
  do { value /= 1024; ++i; } while (value >= 1024 && i < names.length - 1);
  return `${value.toPrecision(3)} ${names[i]}`;
}
const count = d3.format(",");

// element("div", {class: "x"}, "text", child, ...)
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}
function card(title, note, ...children) {
  return element("section", { class: "card" },
    element("h2", {}, title, note ? element("small", {}, note) : null), ...children);
}
function pill(run) {
  return element("span", { class: `pill ${outcome(run)}` }, outcomeWord(run));
}

const colourCache = new Map();
function colour(name) {
  if (!colourCache.has(name)) {
    colourCache.set(name, getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim());
  }
  return colourCache.get(name);
}

const tip = document.getElementById("tip");
function showTip(event, text) {
  tip.textContent = text;
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  const left = Math.min(event.clientX + 14, innerWidth - box.width - 8);
  const top = event.clientY + 18 + box.height > innerHeight ? event.clientY - box.height - 12 : event.clientY + 18;
  tip.style.left = `${Math.max(8, left)}px`;
  tip.style.top = `${Math.max(8, top)}px`;
}
function hideTip() { tip.hidden = true; }
// For d3 selections: a tooltip whose text comes from the datum.
function tipped(selection, text) {
  return selection.on("mousemove", (event, d) => showTip(event, text(d))).on("mouseleave", hideTip);
}

// What was named by the verdict, as a set of words.
function named(run) { return new Set(run.verdict.names); }
// Whether the verdict names a rank, its node, or a cable that ends there.
function namesRank(run, rank) {
  const names = named(run), node = run.record.nodes[rank];
  return names.has(`rank ${rank}`) || names.has(node) || (run.cables || []).some((cable) => names.has(cable.name) &&
    [...cable.ends, ...cable.now].some((end) => end.split("/")[0] === node));
}
function rankOfNode(run, end) { return run.record ? run.record.nodes.indexOf(end.split("/")[0]) : -1; }

// A rank's state at the end, for colouring its node.
function rankState(run, rank) {
  const it = run.ranks[rank];
  if (!it) return "";
  const spans = run.record && run.record.ranks[rank];
  const last = spans && spans.length ? kActivities[spans[spans.length - 1][2]] : "";
  if (it.ended_by_fault || (it.signal !== null && !it.ended_by_harness)) return "dead";
  if (last === "stopped") return "stopped";
  return "";
}
function rankEnding(rank) {
  if (rank.ended_by_fault) return "killed by a fault";
  if (rank.ended_by_harness) return "ended with the run";
  if (rank.signal !== null) return `signal ${rank.signal}`;
  if (rank.exit !== null) return `exit ${rank.exit}`;
  return "not started";
}
