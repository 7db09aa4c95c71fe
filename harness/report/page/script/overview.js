// The overview of a suite, and the list of its runs.

function tally() {
  const of = (kind) => runs.filter((run) => outcome(run) === kind).length;
  return { passed: of("passed"), failed: of("failed"), cut: of("cut") };
}

// How soon after the last progress each kind of verdict came.
function latencyChart() {
  const stuck = runs.filter((run) => run.times_ns.progress_to_verdict > 0);
  if (!stuck.length) return null;
  const groups = d3.groups(stuck, (run) => run.verdict.name).sort((a, b) => d3.ascending(a[0], b[0]));
  const width = 640, step = 26, left = 190, height = groups.length * step + 44;
  const box = element("div", { class: "body" });
  const svg = d3.select(box).append("svg").attr("viewBox", `0 0 ${width} ${height}`).attr("width", "100%").attr("id", "latency");
  const extent = d3.extent(stuck, (run) => run.times_ns.progress_to_verdict);
  const x = d3.scaleLog().domain([Math.min(20e6, extent[0] / 1.1), Math.max(extent[1] * 1.1, 500e6)]).range([left, width - 24]);
  const ticks = [1, 3].flatMap((step) => d3.range(3, 12).map((power) => step * 10 ** power));
  const axis = svg.append("g").attr("transform", `translate(0,${height - 26})`)
    .call(d3.axisBottom(x).tickValues(ticks.filter((t) => t >= x.domain()[0] && t <= x.domain()[1])).tickFormat(duration));
  axis.selectAll("path,line").style("stroke", "var(--line)");
  axis.selectAll("text").attr("class", "faint");
  svg.append("line").attr("x1", x(250e6)).attr("x2", x(250e6)).attr("y1", 4).attr("y2", height - 26)
    .style("stroke", "var(--faint)").style("stroke-dasharray", "3 4");
  groups.forEach(([name, members], i) => {
    const y = i * step + 18;
    svg.append("text").attr("x", left - 12).attr("y", y).attr("dy", ".35em").attr("text-anchor", "end").text(name);
    svg.append("line").attr("x1", left).attr("x2", width - 14).attr("y1", y).attr("y2", y).style("stroke", "var(--line)");
    tipped(svg.append("g").selectAll("circle").data(members).join("circle").attr("r", 5.5).attr("cy", y)
      .attr("cx", (run) => x(run.times_ns.progress_to_verdict)).style("fill", (run) => `var(--${run.passed ? "good" : "bad"})`)
      .style("fill-opacity", .75).style("cursor", "pointer").on("click", (event, run) => go(run)),
    (run) => `${run.name}\n${duration(run.times_ns.progress_to_verdict)} after the last progress`);
  });
  return card("From the last progress to the verdict", "by verdict; the dashed line is 250 ms", box);
}

function durationChart() {
  const width = 640, slow = d3.sort(runs, (run) => -run.times_ns.total).slice(0, 12), step = 24, left = 190;
  const box = element("div", { class: "body" });
  const svg = d3.select(box).append("svg").attr("viewBox", `0 0 ${width} ${slow.length * step + 10}`).attr("width", "100%");
  const x = d3.scaleLinear().domain([0, slow[0].times_ns.total || 1]).range([0, width - left - 80]);
  const rows = svg.selectAll("g").data(slow).join("g").attr("transform", (run, i) => `translate(0,${i * step + 4})`)
    .style("cursor", "pointer").on("click", (event, run) => go(run));
  rows.append("text").attr("x", left - 12).attr("y", 11).attr("dy", ".35em").attr("text-anchor", "end")
    .text((run) => (run.name.length > 27 ? `${run.name.slice(0, 26)}\u2026` : run.name));
  rows.append("rect").attr("x", left).attr("y", 3).attr("height", 15).attr("rx", 4).attr("width", (run) => Math.max(2, x(run.times_ns.total)))
    .style("fill", (run) => (run.passed ? "var(--rail)" : "var(--bad)")).style("fill-opacity", .8);
  rows.append("text").attr("class", "faint").attr("x", (run) => left + x(run.times_ns.total) + 8).attr("y", 11).attr("dy", ".35em")
    .text((run) => duration(run.times_ns.total));
  return card("The longest runs", null, box);
}

function showOverview(main) {
  const { passed, failed, cut } = tally();
  const tile = (value, what) => element("div", { class: "card tile" }, element("b", {}, value), element("span", {}, what));
  const share = element("div", { class: "share", title: `${passed} passed, ${failed} failed` });
  for (const [kind, amount] of [["passed", passed], ["failed", failed], ["cut", cut]]) {
    if (!amount) continue;
    const part = element("i", { class: kind });
    part.style.flex = amount;
    share.append(part);
  }
  const latencies = runs.map((run) => run.times_ns.progress_to_verdict).filter((ns) => ns > 0);
  main.append(element("div", { class: "tiles" },
    tile(count(runs.length), "scenarios"), tile(count(passed), "passed"), tile(count(failed + cut), cut ? "failed or interrupted" : "failed"),
    tile(duration(d3.sum(runs, (run) => run.times_ns.total)), "of runs, added up"),
    latencies.length ? tile(duration(d3.median(latencies)), "median from standstill to verdict") : null), share);
  main.append(element("div", { class: "pair" }, latencyChart() || element("div", {}), durationChart()));
  const rows = d3.sort(runs, (run) => (run.passed ? 1 : 0)).map((run) => element("tr", { class: "row", onclick: () => go(run) },
    element("td", {}, pill(run)), element("td", {}, element("b", {}, run.name)), element("td", {}, run.verdict.name),
    element("td", {}, run.failures[0] || run.summary), element("td", {}, duration(run.times_ns.total))));
  main.append(card("All runs", null, element("div", { class: "body" }, element("table", { id: "all-runs" },
    element("thead", {}, element("tr", {}, ...["", "scenario", "verdict", "", "took"].map((name) => element("th", {}, name)))),
    element("tbody", {}, ...rows)))));
}

const choice = { text: "", kind: "all" };
function matches(run) {
  const text = `${run.name} ${run.verdict.name} ${run.summary}`.toLowerCase();
  return (choice.kind === "all" || (choice.kind === "passed") === run.passed) && text.includes(choice.text);
}

function listRuns(nav) {
  const list = element("ol", { id: "run-list" });
  const fill = () => {
    const shown = runs.filter(matches);
    list.replaceChildren(...shown.map((run) => element("li", {}, element("a", { href: `#${run.index}`, "data-run": run.index },
      element("span", { class: `dot ${outcome(run)}` }),
      element("span", {}, element("div", { class: "name" }, run.name), element("div", { class: "what" }, run.verdict.name)),
      element("span", { class: "what" }, duration(run.times_ns.total))))));
    if (!shown.length) list.append(element("li", { class: "none" }, "No run matches."));
    markCurrent();
  };
  const kinds = ["all", "failed", "passed"].map((kind) => element("button", { type: "button", "data-kind": kind,
    "aria-pressed": kind === choice.kind, onclick: () => {
      choice.kind = kind;
      for (const each of kinds) each.setAttribute("aria-pressed", each.dataset.kind === kind);
      fill();
    } }, kind));
  nav.append(element("div", { class: "tools" },
    element("input", { type: "search", id: "run-filter", placeholder: "Filter by name or verdict", "aria-label": "Filter runs",
      oninput: (event) => { choice.text = event.target.value.toLowerCase(); fill(); } }),
    element("div", { class: "set" }, ...kinds)), list);
  nav.hidden = false;
  fill();
}

function markCurrent() {
  for (const link of document.querySelectorAll("#run-list a")) {
    link.setAttribute("aria-current", link.getAttribute("href") === location.hash);
  }
}
