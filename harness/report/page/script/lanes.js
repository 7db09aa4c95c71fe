// How the timeline is painted.

Object.assign(Timeline.prototype, {
  draw() {
    if (!this.context || !this.width || this.pending) return;
    this.pending = requestAnimationFrame(() => { this.pending = 0; this.paint(); });
  },

  paint() {
    const g = this.context, scroll = this.lanes.scrollTop;
    g.clearRect(0, 0, this.width, this.view);
    g.font = "12px system-ui, sans-serif";
    g.textBaseline = "middle";
    g.save();
    g.translate(0, -scroll);
    const visible = this.rows.filter((row) => row.y + row.height >= scroll && row.y <= scroll + this.view);
    g.save();
    g.beginPath();
    g.rect(this.left, scroll, this.width - this.left, this.view);
    g.clip();
    for (const row of visible) row.kind === "rank" ? this.paintRank(row) : this.paintRail(row);
    this.paintMessages(scroll);
    g.restore();
    this.paintLabels(visible);
    g.restore();
    this.paintMarks();
    this.paintAxis();
  },

  paintRank(row) {
    const g = this.context, [from, to] = this.time.domain();
    for (const [begin, end, activity, operation, first, last] of this.record.ranks[row.rank]) {
      if (end < from || begin > to) continue;
      const x = this.time(begin), wide = Math.max(this.time(end) - x, .7);
      g.fillStyle = colour(kActivities[activity]);
      g.fillRect(x, row.y, wide, row.height);
      if (wide < 60 || operation < 0) continue;
      g.save();
      g.beginPath();
      g.rect(x, row.y, wide, row.height);
      g.clip();
      const pale = { waiting: "#2b1f06", asleep: colour("ink"), starting: colour("ink"), leaving: colour("ink") };
      g.fillStyle = pale[kActivities[activity]] || "#fff";
      g.globalAlpha = .9;
      const times = first === last ? `${first}` : `${first}-${last}`;
      g.fillText(`${this.record.operations[operation]} ${times}`, Math.max(x, this.left) + 6, row.y + row.height / 2 + 1);
      g.restore();
    }
  },

  // How much passed, as the height of the rail's band.
  paintRail(row) {
    const g = this.context, [from, to] = this.time.domain(), slice = this.record.slice_ns;
    g.fillStyle = colour("sunken");
    g.fillRect(this.left, row.y, this.width - this.left - 14, row.height);
    g.fillStyle = colour("rail");
    this.perPort = this.perPort || d3.group(this.record.traffic, (entry) => entry[1]);
    this.mostBytes = this.mostBytes || Math.max(1, d3.max(this.record.traffic, (entry) => entry[3]));
    for (const [index, , messages, bytes] of this.perPort.get(row.port) || []) {
      const begin = index * slice - this.record.origin_ns;
      if (begin + slice < from || begin > to) continue;
      const x = this.time(begin), wide = Math.max(this.time(begin + slice) - x, 1);
      g.globalAlpha = .22 + .5 * Math.sqrt(bytes / this.mostBytes);
      g.fillRect(x, row.y, wide, row.height);
    }
    g.globalAlpha = 1;
  },

  paintMessages(scroll) {
    this.hits = [];
    if (!this.options.messages && !this.options.lost) return;
    const g = this.context, m = this.messages, [from, to] = this.time.domain();
    const slack = m.longest;
    const begin = d3.bisectLeft(m.posted, from - slack), end = d3.bisectRight(m.posted, to);
    const arrows = end - d3.bisectLeft(m.posted, from) <= Math.max(60, this.width / 3);
    const taken = new Set();  // pixels that have their tick already
    for (let i = begin; i < end; ++i) {
      if ((this.options.lost && !m.lost[i]) || Math.max(m.posted[i], m.arrived[i]) < from) continue;
      const source = this.rowOf(m.from[i], m.fromRank[i]), target = this.rowOf(m.to[i], m.toRank[i]);
      if (!source && !target) continue;
      const x0 = this.time(m.posted[i]), x1 = this.time(m.arrived[i] >= 0 ? m.arrived[i] : m.posted[i]);
      if (source) this.tick(taken, source, x0, m.lost[i] ? "bad" : "ink", m.lost[i]);
      if (target && m.arrived[i] >= 0) this.tick(taken, target, x1, "faint", false);
      if (!arrows) continue;
      if (source && target && m.arrived[i] >= 0) this.arrow(source, x0, target, x1);
      this.hits.push([i, source, x0, target, x1]);
    }
  },

  tick(taken, row, x, name, lost) {
    const key = row.y * 8192 + Math.round(x);
    if (!lost && taken.has(key)) return;
    taken.add(key);
    const g = this.context;
    g.fillStyle = colour(name);
    if (row.kind === "rank" && !lost) g.fillRect(x - .5, row.y + row.height - 5, 1, 5);
    else g.fillRect(x - .5, row.y + 1, lost ? 2 : 1, row.height - 2);
    if (!lost) return;
    g.strokeStyle = colour(name);
    g.lineWidth = 1.6;
    const y = row.y + row.height / 2;
    g.beginPath();
    g.moveTo(x - 4, y - 4); g.lineTo(x + 4, y + 4); g.moveTo(x + 4, y - 4); g.lineTo(x - 4, y + 4);
    g.stroke();
  },

  arrow(source, x0, target, x1) {
    const g = this.context, down = target.y > source.y;
    const y0 = down ? source.y + source.height : source.y, y1 = down ? target.y : target.y + target.height;
    g.strokeStyle = g.fillStyle = colour("arrow");
    g.globalAlpha = .55;
    g.lineWidth = 1;
    g.beginPath();
    g.moveTo(x0, y0);
    const lean = (y1 - y0) * .3;
    g.bezierCurveTo(x0, y0 + lean, x1, y1 - lean, x1, y1);
    g.stroke();
    g.beginPath();
    g.moveTo(x1, y1); g.lineTo(x1 - 2.6, y1 - Math.sign(y1 - y0) * 5); g.lineTo(x1 + 2.6, y1 - Math.sign(y1 - y0) * 5);
    g.fill();
    g.globalAlpha = 1;
  },

  paintLabels(visible) {
    const g = this.context;
    for (const row of visible) {
      const y = row.y + row.height / 2 + 1;
      if (row.kind === "rank") {
        const isOpen = this.rowOfPort.has(row.ports.length ? row.ports[0].index : -1);
        g.fillStyle = colour("ink");
        g.font = "600 12px system-ui, sans-serif";
        g.fillText(`${isOpen ? "\u25be" : "\u25b8"} rank ${row.rank}`, 14, y);
        g.font = "12px system-ui, sans-serif";
        g.fillStyle = colour("faint");
        g.textAlign = "right";
        g.fillText(this.record.nodes[row.rank], this.left - 10, y);
        g.textAlign = "left";
      } else {
        g.fillStyle = colour("soft");
        g.fillText(row.name, 30, y);
      }
    }
  },

  paintMarks() {
    const g = this.context;
    let free = -Infinity, level = 0;
    for (const mark of this.marks().sort((a, b) => a.at - b.at)) {
      const x = this.time(mark.at);
      if (x < this.left || x > this.width - 14) continue;
      g.strokeStyle = mark.colour;
      g.lineWidth = 1.5;
      g.setLineDash(mark.note === undefined ? [4, 4] : []);
      g.beginPath();
      g.moveTo(x, 26);
      g.lineTo(x, this.view);
      g.stroke();
      g.setLineDash([]);
      const wide = g.measureText(mark.text).width + 12;
      level = x - 2 < free ? (level + 1) % 4 : 0;
      const left = Math.min(x, this.width - 14 - wide), y = this.view - 20 - level * 19;
      free = left + wide;
      g.fillStyle = mark.colour;
      g.beginPath();
      g.roundRect(left, y, wide, 17, 4);
      g.fill();
      g.fillStyle = colour("card");
      g.fillText(mark.text, left + 6, y + 9);
    }
  },

  paintAxis() {
    const g = this.context, span = this.time.domain()[1] - this.time.domain()[0];
    g.fillStyle = colour("card");
    g.globalAlpha = .94;
    g.fillRect(0, 0, this.width, 25);
    g.globalAlpha = 1;
    g.strokeStyle = colour("line");
    g.fillStyle = colour("faint");
    g.lineWidth = 1;
    const ticks = this.time.ticks(Math.max(2, Math.floor((this.width - this.left) / 110)));
    const digits = ticks.length > 1 ? ticks[1] - ticks[0] : span;
    for (const t of ticks) {
      const x = Math.round(this.time(t)) + .5;
      g.beginPath(); g.moveTo(x, 20); g.lineTo(x, 26); g.stroke();
      g.textAlign = x > this.width - 50 ? "right" : "center";
      g.fillText(axisTime(t, digits), Math.min(x, this.width - 8), 12);
    }
    g.textAlign = "left";
    g.beginPath(); g.moveTo(0, 25.5); g.lineTo(this.width, 25.5); g.stroke();
  },
});

function axisTime(ns, step) {
  const [unit, name] = step >= 1e9 ? [1e9, "s"] : step >= 1e6 ? [1e6, "ms"] : step >= 1e3 ? [1e3, "us"] : [1, "ns"];
  const digits = Math.max(0, -Math.floor(Math.log10(step / unit)));
  return `${(ns / unit).toLocaleString("en", { maximumFractionDigits: Math.min(digits, 3) })} ${name}`;
}
