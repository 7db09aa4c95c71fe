// Places of nodes, and the two drawings made of them: the topology and the wait-for graph.

// Two nodes stand side by side, more of them on a circle.
function places(n, width, height, margin) {
  if (n === 1) return [[width / 2, height / 2]];
  if (n === 2) return [[margin + 55, height / 2], [width - margin - 55, height / 2]];
  const rx = width / 2 - margin, ry = height / 2 - margin;
  return d3.range(n).map((i) => {
    const angle = (2 * Math.PI * i) / n - Math.PI / 2;
    return [width / 2 + rx * Math.cos(angle), height / 2 + ry * Math.sin(angle)];
  });
}

function drawNodes(svg, run, points, indices, onpick, radius) {
  const nodes = svg.append("g").selectAll("g").data(indices).join("g")
    .attr("class", (rank) => `node ${rankState(run, rank)} ${namesRank(run, rank) ? "named" : ""}`)
    .attr("transform", (rank, i) => `translate(${points[i]})`)
    .on("click", (event, rank) => onpick(rank));
  nodes.append("circle").attr("r", radius);
  nodes.append("text").attr("text-anchor", "middle").attr("dy", ".35em")
    .style("font-size", `${Math.max(8, Math.min(14, radius * .8))}px`).style("pointer-events", "none")
    .text((rank) => rank);
  tipped(nodes, (rank) => {
    const it = run.ranks[rank];
    return `rank ${rank} on ${run.record.nodes[rank]}\n${it ? rankEnding(it) : ""}` +
      (it && it.waited_for ? `\n${it.waited_for}` : "") + (it && it.error ? `\n${it.error.message}` : "");
  });
  return nodes;
}

// A curve from a to b that bends aside by `bend`.
function bow([ax, ay], [bx, by], bend) {
  const length = Math.hypot(bx - ax, by - ay) || 1;
  const mx = (ax + bx) / 2 - ((by - ay) / length) * bend, my = (ay + by) / 2 + ((bx - ax) / length) * bend;
  return `M${ax},${ay}Q${mx},${my} ${bx},${by}`;
}
function middle([ax, ay], [bx, by], bend) {
  const length = Math.hypot(bx - ax, by - ay) || 1;
  return [(ax + bx) / 2 - ((by - ay) / length) * bend / 2, (ay + by) / 2 + ((bx - ax) / length) * bend / 2];
}

function cableState(cable) {
  if (!cable.plugged || cable.now.includes("")) return "unplugged";
  return cable.ends.join() === cable.now.join() ? "" : "broken";
}

function topology(run, onpick) {
  const cables = run.cables || [];
  if (!run.record || !cables.length) {
    return card("Topology", null, element("div", { class: "body nothing" }, "No cluster was recorded."));
  }
  const n = run.record.nodes.length;
  const bad = cables.filter((cable) => cableState(cable));
  const note = `${n} ${n === 1 ? "node" : "nodes"}, ${count(cables.length)} ${cables.length === 1 ? "cable" : "cables"}` +
    (bad.length ? ` - ${bad.length} not as built` : "");
  const box = element("div", { class: "body" });
  const svg = d3.select(box).append("svg").attr("id", "topology").attr("width", "100%").attr("role", "img")
    .attr("aria-label", note);
  n === 2 ? twoNodes(svg, run, cables, onpick) : manyNodes(svg, run, cables, onpick);
  return card("Topology", note, box);
}

// Two boxes with their ports, and each cable from port to port.
function twoNodes(svg, run, cables, onpick) {
  const ports = [0, 1].map((rank) => run.record.ports.filter((port) => port.rank === rank));
  const most = Math.max(ports[0].length, ports[1].length, 1);
  const step = most <= 3 ? 58 : 38, width = 640, height = Math.max(200, most * step + 90), boxWidth = 150;
  svg.attr("viewBox", `0 0 ${width} ${height}`);
  const place = new Map();
  ports.forEach((list, rank) => list.forEach((port, i) => {
    const y = height / 2 + (i - (list.length - 1) / 2) * step;
    place.set(port.name, [rank === 0 ? boxWidth : width - boxWidth, y]);
  }));
  const names = named(run);
  const nodes = svg.append("g").selectAll("g").data([0, 1]).join("g")
    .attr("class", (rank) => `node ${rankState(run, rank)} ${names.has(`rank ${rank}`) ? "named" : ""}`)
    .on("click", (event, rank) => onpick(rank));
  nodes.append("rect").attr("x", (rank) => (rank === 0 ? 6 : width - boxWidth)).attr("y", 14)
    .attr("width", boxWidth - 6).attr("height", height - 28).attr("rx", 12);
  nodes.append("text").attr("x", (rank) => (rank === 0 ? 22 : width - boxWidth + 22)).attr("y", 38)
    .style("font-weight", 650).text((rank) => run.record.nodes[rank]);
  nodes.append("text").attr("class", "faint").attr("x", (rank) => (rank === 0 ? 22 : width - boxWidth + 22))
    .attr("y", 55).text((rank) => `rank ${rank}`);
  drawCables(svg, run, cables, (name) => place.get(name), true);
  const labels = svg.append("g").selectAll("g").data([...place]).join("g");
  labels.append("circle").attr("class", ([name]) => `plug ${names.has(name) ? "bad" : ""}`).attr("r", 5.5)
    .attr("cx", (d) => d[1][0]).attr("cy", (d) => d[1][1]);
  labels.append("text").attr("x", (d) => d[1][0] + (d[1][0] < width / 2 ? -12 : 12)).attr("y", (d) => d[1][1])
    .attr("dy", ".35em").attr("text-anchor", (d) => (d[1][0] < width / 2 ? "end" : "start")).attr("class", "soft")
    .text(([name]) => name.split("/")[1]);
}

function manyNodes(svg, run, cables, onpick) {
  const n = run.record.nodes.length, width = 640, height = n > 24 ? 560 : 400;
  svg.attr("viewBox", `0 0 ${width} ${height}`);
  const radius = n > 40 ? 9.5 : n > 16 ? 13 : 19;
  const points = places(n, width, height, radius + 12);
  const centre = [width / 2, height / 2];
  drawCables(svg, run, cables, (name) => points[rankOfNode(run, name)] || centre, false);
  if (cables.some((cable) => cable.ends.some((end) => !end.includes("/")))) {
    const hub = svg.append("g").attr("class", "node");
    hub.append("rect").attr("x", centre[0] - 36).attr("y", centre[1] - 15).attr("width", 72).attr("height", 30).attr("rx", 7);
    hub.append("text").attr("x", centre[0]).attr("y", centre[1]).attr("dy", ".35em").attr("text-anchor", "middle").text("switch");
  }
  drawNodes(svg, run, points, d3.range(n), onpick, radius);
}

function drawCables(svg, run, cables, at, roomy) {
  const names = named(run), seen = new Map();
  const thin = cables.length > 400 ? "thin hair" : cables.length > 40 ? "thin" : "";
  const drawn = cables.map((cable) => {
    const state = cableState(cable);
    const was = cable.ends.map(at), now = cable.now.map((end, i) => (end ? at(end) : was[i]));
    const key = now.map(String).sort().join();
    const twin = seen.get(key) || 0;
    seen.set(key, twin + 1);
    const bend = roomy ? 0 : ((twin % 2 ? -1 : 1) * Math.ceil(twin / 2) * 26);
    return { cable, state, was, now, bend, isNamed: names.has(cable.name) };
  }).filter((d) => d.was[0] && d.was[1] && d.now[0] && d.now[1]);
  drawn.sort((a, b) => (a.state ? 1 : 0) - (b.state ? 1 : 0));
  const moved = drawn.filter((d) => d.state === "broken");
  svg.append("g").selectAll("path").data(moved).join("path").attr("class", "cable ghost")
    .attr("d", (d) => bow(d.was[0], d.was[1], d.bend));
  tipped(svg.append("g").selectAll("path").data(drawn).join("path")
    .attr("class", (d) => `cable ${d.state ? "" : thin} ${d.state || (d.isNamed ? "broken" : "")}`)
    .attr("d", (d) => bow(d.now[0], d.now[1], d.bend)), ({ cable, state }) =>
    `${cable.name}: ${cable.now.map((end) => end || "nothing").join(" - ")}` +
    (state ? `\nbuilt as ${cable.ends.join(" - ")}` : "") +
    (cable.changed_ns !== null ? `\nlast changed at ${duration(cable.changed_ns)}` : ""));
  const out = drawn.filter((d) => d.state === "unplugged");
  const marks = svg.append("g").selectAll("g").data(out).join("g")
    .attr("transform", (d) => `translate(${middle(d.now[0], d.now[1], d.bend)})`);
  marks.append("circle").attr("r", 11).style("fill", "var(--card)");
  marks.append("path").attr("class", "cut-mark").attr("d", "M-6,-6L6,6M6,-6L-6,6");
  const tagged = drawn.filter((d) => d.state || d.isNamed || cables.length <= 12).slice(-24);
  const tags = svg.append("g").selectAll("g").data(tagged).join("g")
    .attr("class", (d) => `tag ${d.state || d.isNamed ? "bad" : ""}`)
    .attr("transform", (d) => {
      const share = d.state === "broken" ? .2 : .5;  // crossed cables meet in the middle
      const shift = d.state === "unplugged" ? -24 : 0;
      const [x, y] = roomy ? [d.now[0][0] + (d.now[1][0] - d.now[0][0]) * share, d.now[0][1] + (d.now[1][1] - d.now[0][1]) * share]
        : middle(d.now[0], d.now[1], d.bend);
      return `translate(${x},${y + shift})`;
    }).style("pointer-events", "none");
  tags.append("rect").attr("rx", 6).attr("height", 18).attr("y", -9)
    .attr("width", (d) => d.cable.name.length * 7.2 + 12).attr("x", (d) => -(d.cable.name.length * 7.2 + 12) / 2);
  tags.append("text").attr("text-anchor", "middle").attr("dy", ".35em").text((d) => d.cable.name);
}

// What of the whole graph the verdict comes down to.
function reduction(run, edges, reduced) {
  const most = 6, list = element("ul", {});
  for (const edge of (reduced.length ? reduced : edges).slice(0, most)) {
    const first = edge.waits[0], more = edge.waits.length > 1 ? ` and ${edge.waits.length - 1} more` : "";
    list.append(element("li", {}, `rank ${edge.from} for rank ${edge.to}: ${first.port || "?"}: ${first.what}${more}`));
  }
  const all = `${count(edges.length)} wait${edges.length === 1 ? "" : "s"}`;
  const left = reduced.length ? `${all}, ${count(reduced.length)} for what the verdict names` : all;
  return element("div", { class: "reduction" },
    element("p", {}, left, " \u2192 ", element("b", {}, run.verdict.name)), list);
}

function waitGraph(run, onpick) {
  const edges = d3.flatRollup((run.waits || []).filter((wait) => wait.for !== null && wait.for !== wait.rank),
    (all) => all, (wait) => wait.rank, (wait) => wait.for).map(([from, to, waits]) => ({ from, to, waits }));
  const alone = (run.waits || []).filter((wait) => wait.for === null);
  const box = element("div", { class: "body" });
  if (!run.record || !(run.waits || []).length) {
    box.append(element("div", { class: "nothing" }, "Nobody waited for anybody when the verdict was given."));
    return card("Who waits for whom", null, box);
  }
  const shown = [...new Set([...edges.flatMap((edge) => [edge.from, edge.to]), ...alone.map((wait) => wait.rank)])].sort(d3.ascending);
  const n = shown.length, width = 640, height = n <= 2 ? 200 : n > 24 ? 560 : 400;
  const svg = d3.select(box).append("svg").attr("id", "waits").attr("viewBox", `0 0 ${width} ${height}`).attr("width", "100%");
  const radius = n > 40 ? 9.5 : n > 16 ? 13 : 22;
  const points = places(n, width, height, radius + 16);
  const at = new Map(shown.map((rank, i) => [rank, points[i]]));
  const mutual = new Set(edges.map((edge) => `${edge.from} ${edge.to}`));
  for (const edge of edges) edge.both = mutual.has(`${edge.to} ${edge.from}`);
  // Among many, those that touch what the verdict names stand out.
  const crowd = edges.length > 60, cause = new Set(shown.filter((rank) => namesRank(run, rank)));
  const within = (edge) => cause.has(edge.from) && cause.has(edge.to);
  const main = edges.some(within) ? within : (edge) => cause.has(edge.to);
  edges.sort((a, b) => main(a) - main(b));
  for (const kind of ["one", "both"]) {
    svg.append("marker").attr("id", `head-${kind}`).attr("viewBox", "0 0 10 10").attr("refX", 9).attr("refY", 5)
      .attr("markerWidth", 8).attr("markerHeight", 8).attr("markerUnits", "userSpaceOnUse").attr("orient", "auto")
      .append("path").attr("d", "M0,0L10,5L0,10z").attr("class", `wait-head ${kind}`);
  }
  tipped(svg.append("g").selectAll("path").data(edges).join("path")
    .attr("class", (d) => `wait ${d.both ? "both" : ""} ${crowd && !main(d) ? "thin hair" : edges.length > 60 ? "thin" : ""}`)
    .attr("marker-end", (d) => (crowd && !main(d) ? null : `url(#head-${d.both ? "both" : "one"})`))
    .attr("d", (d) => {
      const [ax, ay] = at.get(d.from), [bx, by] = at.get(d.to);
      const length = Math.hypot(bx - ax, by - ay) || 1, ux = (bx - ax) / length, uy = (by - ay) / length;
      const gap = radius + 4;
      return bow([ax + ux * gap, ay + uy * gap], [bx - ux * gap, by - uy * gap], d.both ? Math.min(46, length / 5) : 0);
    }), (d) => `rank ${d.from} waits for rank ${d.to}\n` +
      d.waits.map((wait) => `${wait.port || "?"}: ${wait.what}`).join("\n"));
  drawNodes(svg, run, points, shown, onpick, radius);
  const reduced = edges.every(main) ? [] : edges.filter(main);
  box.append(reduction(run, edges, reduced));
  for (const wait of alone) {
    box.append(element("p", {}, `rank ${wait.rank} waits: ${wait.what}`));
  }
  const note = edges.some((edge) => edge.both) ? "red: each for the other" : "an arrow leads to whom a rank waits for";
  return card("Who waits for whom", note, box);
}
