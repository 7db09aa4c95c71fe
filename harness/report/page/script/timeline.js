// The timeline: a lane per rank with its rails below, on a canvas, so that a million messages do not matter.

class Timeline {
  constructor(run) {
    this.run = run;
    this.record = run.record;
    this.messages = unpackMessages(run.record);
    this.ordered = d3.range(this.messages.posted.length);
    this.options = { messages: true, lost: false, filter: "" };
    const end = Math.max(run.times_ns.end, d3.max(run.record.ranks.flat(), (span) => span[1]) || 0, 1);
    this.extent = [Math.min(0, d3.min(run.record.ranks.flat(), (span) => span[0]) || 0), end];
    this.full = d3.scaleLinear().domain(this.extent);
    this.time = this.full.copy();
    // A few rails are always shown, many only of the ranks that were picked.
    this.open = new Set(run.record.ports.length <= 24 ? d3.range(run.record.ranks.length) : []);
    this.left = 150;
    this.build();
  }

  build() {
    const button = (text, title, act) => element("button", { type: "button", title, onclick: act }, text);
    const toggle = (text, key) => {
      const made = element("button", { type: "button", id: `toggle-${key}`, "aria-pressed": this.options[key],
        onclick: () => {
          this.options[key] = !this.options[key];
          made.setAttribute("aria-pressed", this.options[key]);
          this.draw();
        } }, text);
      return made;
    };
    this.filterBox = element("input", { type: "search", id: "lane-filter", placeholder: "ranks or rails: 0, 3-5, rdma_en3",
      "aria-label": "Filter lanes", size: 26, oninput: (event) => this.filter(event.target.value) });
    const jump = this.run.stuck ? button("To the standstill", "The time around the last progress", () => this.toStandstill()) : null;
    const bar = element("div", { class: "bar" }, this.filterBox, toggle("Messages", "messages"), toggle("Only lost", "lost"),
      element("span", { class: "grow" }), jump,
      button("-", "Zoom out", () => this.zoomBy(.5)), button("+", "Zoom in", () => this.zoomBy(2)),
      button("Fit", "The whole run", () => this.show(this.extent)));
    const legend = element("div", { class: "legend" }, ...kActivities.filter((name, i) =>
      this.record.ranks.some((spans) => spans.some((span) => span[2] === i))).map((name) => {
      const swatch = element("i");
      swatch.style.background = `var(--${name})`;
      return element("span", {}, swatch, name);
    }));
    this.canvas = element("canvas", { id: "timeline", tabindex: 0, "aria-label": "Timeline of ranks, rails and messages" });
    this.spacer = element("div");
    this.lanes = element("div", { id: "lanes" }, this.canvas, this.spacer);
    this.mini = d3.create("svg").attr("id", "mini");
    const kept = this.messages.posted.length, all = this.run.traffic ? this.run.traffic.messages : kept;
    const hint = kept < all
      ? `${count(all)} messages passed; the last ${count(kept)} are shown one by one, all of them as the density of their rail.`
      : `${count(kept)} messages.`;
    this.node = element("section", { class: "card", id: "timeline-card" },
      element("h2", {}, "Timeline", element("small", {}, "scroll to zoom, drag to pan, click a rank to open its rails")),
      bar, legend, this.mini.node(), this.lanes, element("p", { class: "hint" }, hint));
    this.lanes.addEventListener("scroll", () => this.draw());
    this.canvas.addEventListener("mousemove", (event) => this.point(event));
    this.canvas.addEventListener("mouseleave", hideTip);
    this.canvas.addEventListener("click", (event) => this.pick(event));
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    this.zoom = d3.zoom().scaleExtent([1, 5e6]).filter((event) => !event.button && !(event.type === "wheel" && event.shiftKey))
      .on("zoom", (event) => {
        this.time = event.transform.rescaleX(this.full);
        this.syncBrush();
        this.draw();
      });
    // Its own changes of height must not come back to it.
    new ResizeObserver(() => {
      if (this.lanes.clientWidth !== this.width) requestAnimationFrame(() => this.resize());
    }).observe(this.lanes);
  }

  // ---- lanes

  layout() {
    const wanted = parseFilter(this.options.filter);
    this.rows = [];
    let y = 30;
    this.rowOfRank = new Map();
    this.rowOfPort = new Map();
    this.record.ranks.forEach((spans, rank) => {
      const ports = this.record.ports.map((port, index) => ({ ...port, index })).filter((port) => port.rank === rank);
      const rails = ports.filter((port) => wanted.port(port.name));
      if (!wanted.rank(rank) || (wanted.words && !rails.length)) return;
      const row = { kind: "rank", rank, y, height: 20, ports };
      this.rows.push(row);
      this.rowOfRank.set(rank, row);
      y += 24;
      if (this.open.has(rank) || wanted.words || wanted.narrow) {
        for (const port of rails) {
          const rail = { kind: "rail", rank, port: port.index, name: port.name.split("/")[1], y, height: 15 };
          this.rows.push(rail);
          this.rowOfPort.set(port.index, rail);
          y += 18;
        }
        y += 6;
      }
    });
    this.height = y + 34;  // room for the marks' names
    this.view = Math.max(160, Math.min(this.height, 620));
    this.lanes.style.height = `${this.view}px`;
    this.spacer.style.height = `${Math.max(0, this.height - this.view)}px`;
  }

  rowOf(port, rank) { return this.rowOfPort.get(port) || this.rowOfRank.get(rank); }

  filter(text) {
    this.options.filter = text;
    this.resize();
  }

  // ---- what is visible

  resize() {
    this.layout();
    this.width = this.lanes.clientWidth;
    if (!this.width) return;
    const ratio = devicePixelRatio || 1;
    this.canvas.width = this.width * ratio;
    this.canvas.height = this.view * ratio;
    this.canvas.style.width = `${this.width}px`;
    this.canvas.style.height = `${this.view}px`;
    this.context = this.canvas.getContext("2d");
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const domain = this.time.domain();
    this.full.range([this.left, this.width - 14]);
    this.zoom.extent([[this.left, 0], [this.width - 14, this.view]])
      .translateExtent([[this.left, -Infinity], [this.width - 14, Infinity]]);
    d3.select(this.canvas).call(this.zoom).on("dblclick.zoom", null);
    this.buildMini();
    this.show(domain);
  }

  show([from, to]) {
    const span = Math.max(to - from, 20), [low, high] = this.full.range();
    const scale = (high - low) / (this.full(from + span) - this.full(from));
    const transform = d3.zoomIdentity.translate(low, 0).scale(scale).translate(-this.full(from), 0);
    d3.select(this.canvas).call(this.zoom.transform, transform);
  }
  zoomBy(factor) { d3.select(this.canvas).call(this.zoom.scaleBy, factor); }
  toStandstill() {
    const at = this.run.times_ns.last_progress, after = this.run.times_ns.progress_to_verdict || 1e6;
    this.show([at - after * .35, at + after * 1.3]);
  }
  key(event) {
    const [from, to] = this.time.domain(), step = (to - from) / 8;
    const act = { "+": () => this.zoomBy(2), "-": () => this.zoomBy(.5), "0": () => this.show(this.extent),
      ArrowLeft: () => this.show([from - step, to - step]), ArrowRight: () => this.show([from + step, to + step]) }[event.key];
    if (!act) return;
    act();
    event.preventDefault();
  }

  // ---- the overview above the lanes

  buildMini() {
    const high = 54, slice = this.record.slice_ns;
    const sums = d3.rollup(this.record.traffic, (rows) => d3.sum(rows, (row) => row[3]), (row) => row[0]);
    const slices = [...sums.keys()].sort(d3.ascending);
    const points = slices.flatMap((key) => [[key * slice, 0], [key * slice, sums.get(key)],
      [(key + 1) * slice, sums.get(key)], [(key + 1) * slice, 0]]);
    const y = d3.scaleSqrt().domain([0, d3.max(points, (point) => point[1]) || 1]).range([high - 2, 6]);
    this.mini.selectAll("*").remove();
    this.mini.attr("viewBox", `0 0 ${this.width} ${high}`);
    this.mini.append("path").attr("class", "area").attr("d", d3.area().x((d) => this.full(d[0] - this.record.origin_ns))
      .y0(high - 2).y1((d) => y(d[1]))(points));
    this.mini.append("text").attr("x", 16).attr("y", 31).attr("class", "faint").text("bytes, all rails");
    for (const mark of this.marks()) {
      const x = this.full(mark.at);
      this.mini.append("line").attr("x1", x).attr("x2", x).attr("y1", 4).attr("y2", high - 2).style("stroke", mark.colour)
        .style("stroke-width", 1.5);
    }
    this.brush = d3.brushX().extent([[this.left, 1], [this.width - 14, high - 1]]).on("brush end", (event) => {
      if (!event.sourceEvent) return;
      const chosen = event.selection || this.full.range();
      this.show(chosen.map((x) => this.full.invert(x)));
    });
    this.brushNode = this.mini.append("g").call(this.brush);
  }
  syncBrush() {
    if (!this.brushNode) return;
    const [low, high] = this.full.range();
    const chosen = this.time.domain().map((t) => Math.min(high, Math.max(low, this.full(t))));
    this.brushNode.call(this.brush.move, chosen[1] - chosen[0] > high - low - 1 ? null : chosen);
  }

  marks() {
    const marks = this.run.faults.filter((fault) => fault.fired)
      .map((fault) => ({ at: fault.at_ns, text: fault.do, note: fault.evidence, colour: colour("warn") }));
    if (this.run.stuck) marks.push({ at: this.run.times_ns.last_progress, text: "last progress", colour: colour("faint") });
    marks.push({ at: this.run.times_ns.verdict, text: this.run.verdict.name, note: this.run.verdict.headline,
      colour: this.run.passed ? colour("good") : colour("bad") });
    return marks;
  }

  // ---- pointing

  row(event) {
    const y = event.offsetY + this.lanes.scrollTop;
    return this.rows.find((row) => y >= row.y - 1 && y <= row.y + row.height + 2);
  }

  pick(event) {
    if (event.defaultPrevented) return;
    const row = this.row(event);
    if (!row || row.kind !== "rank" || event.offsetX > this.left) return;
    this.open.has(row.rank) ? this.open.delete(row.rank) : this.open.add(row.rank);
    this.resize();
  }
  focusRank(rank) {
    this.filterBox.value = String(rank);
    this.filter(String(rank));
    this.node.scrollIntoView({ behavior: "smooth", block: "start" });
  }

  point(event) {
    if (event.buttons) return hideTip();
    const at = this.time.invert(event.offsetX);
    const mark = this.marks().find((each) => Math.abs(this.time(each.at) - event.offsetX) < 4 && event.offsetY > this.view - 90);
    if (mark) return showTip(event, `${mark.text} at ${duration(mark.at)}${mark.note ? `\n${mark.note}` : ""}`);
    const row = this.row(event);
    const near = this.nearest(event, row);
    if (near >= 0) return showTip(event, this.tellMessage(near));
    if (!row || event.offsetX < this.left) return hideTip();
    const span = this.record.ranks[row.rank].find((each) => each[0] <= at && at <= each[1]);
    if (row.kind === "rank" && span) {
      const where = span[3] >= 0 ? `\n${this.record.operations[span[3]]}, iterations ${span[4]} to ${span[5]}` : "";
      return showTip(event, `rank ${row.rank}: ${kActivities[span[2]]}${where}\n${duration(span[0])} to ${duration(span[1])}`);
    }
    if (row.kind === "rail") return showTip(event, `${this.record.ports[row.port].name} at ${duration(at)}`);
    hideTip();
  }
  nearest(event, row) {
    let best = -1, least = 5;
    for (const [i, source, x0, target, x1] of this.hits || []) {
      const away = Math.min(source === row ? Math.abs(x0 - event.offsetX) : 99, target === row ? Math.abs(x1 - event.offsetX) : 99);
      if (away < least) { least = away; best = i; }
    }
    return best;
  }
  tellMessage(i) {
    const m = this.messages, port = (index) => (index >= 0 ? this.record.ports[index].name : "?");
    const lines = [`${m.opcode[i]} of ${byteCount(m.bytes[i])}`,
      `${port(m.from[i])} (queue pair ${m.pair[i]}) to ${port(m.to[i])}${m.peer[i] ? ` (queue pair ${m.peer[i]})` : ""}`,
      `posted ${duration(m.posted[i])}`];
    if (m.arrived[i] >= 0) lines.push(`arrived ${duration(m.arrived[i] - m.posted[i])} later`);
    if (m.completed[i] >= 0) lines.push(`completed ${duration(m.completed[i] - m.posted[i])} after posting: ${m.status[i]}`);
    if (m.lost[i]) lines.push(m.lost[i]);
    return lines.join("\n");
  }
}

// "3-5, 9" are ranks, any other word must be in the name of a rail.
function parseFilter(text) {
  const parts = text.split(/[,;]/).map((part) => part.trim()).filter(Boolean);
  const ranks = [], words = [];
  for (const part of parts) {
    const range = part.match(/^(?:rank\s*)?(\d+)(?:\s*-\s*(\d+))?$/);
    if (range) ranks.push([Number(range[1]), Number(range[2] || range[1])]);
    else words.push(part.toLowerCase());
  }
  return {
    words: words.length > 0,
    narrow: ranks.length > 0,
    rank: (rank) => !ranks.length || ranks.some(([from, to]) => rank >= from && rank <= to),
    port: (name) => !words.length || words.some((word) => name.toLowerCase().includes(word)),
  };
}

// Times are stored as differences, names as indices.
function unpackMessages(record) {
  const packed = record.messages, n = packed.posted.length, rank = (port) => (port >= 0 ? record.ports[port].rank : -1);
  const m = { posted: new Float64Array(n), arrived: new Float64Array(n), completed: new Float64Array(n), longest: 0,
    from: packed.from, to: packed.to, bytes: packed.bytes, pair: packed.pair, peer: packed.peer,
    opcode: packed.opcode.map((i) => record.words[i]), status: packed.status.map((i) => record.words[i]),
    lost: packed.lost.map((i) => record.words[i]) };
  let at = 0;
  for (let i = 0; i < n; ++i) {
    at += packed.posted[i];
    m.posted[i] = at;
    m.arrived[i] = packed.arrived[i] < 0 ? -1 : at + packed.arrived[i];
    m.completed[i] = packed.completed[i] < 0 ? -1 : at + packed.completed[i];
    if (packed.arrived[i] > m.longest) m.longest = packed.arrived[i];
  }
  m.fromRank = packed.from.map(rank);
  m.toRank = packed.to.map(rank);
  return m;
}
