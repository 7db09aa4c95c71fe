// The page of one run.

function verdictCard(run) {
  const latency = run.times_ns.progress_to_verdict;
  const number = (value, what) => element("div", {}, element("b", {}, value), element("span", {}, what));
  const again = element("code", { id: "again" }, run.again);
  const copy = element("button", { type: "button", onclick: async () => {
    try {
      await navigator.clipboard.writeText(run.again);
      copy.textContent = "Copied";
    } catch (error) {
      getSelection().selectAllChildren(again);
    }
  } }, "Copy");
  const lines = (items, kind) => (items.length ? element("ul", { class: kind }, ...items.map((item) => element("li", {}, item))) : null);
  return element("section", { class: `card verdict ${outcome(run)}` },
    element("div", { class: "line" }, pill(run), element("h1", { id: "verdict" }, run.verdict.name),
      run.expected_verdict && run.expected_verdict !== run.verdict.name
        ? element("span", { class: "summary" }, `expected ${run.expected_verdict}`) : null),
    element("p", { class: "headline" }, run.verdict.headline),
    lines(run.failures, "unmet"), lines(run.verdict.details, ""),
    element("p", { class: "summary" }, element("b", {}, run.name), " \u2013 ", run.summary),
    element("div", { class: "numbers" },
      latency !== null ? number(duration(latency), "last progress to verdict") : null,
      number(duration(run.times_ns.verdict), "start to verdict"),
      number(duration(run.times_ns.total), "in all"),
      number(count(run.ranks.length), run.ranks.length === 1 ? "rank" : "ranks"),
      run.traffic ? number(count(run.traffic.messages), "messages") : null,
      run.traffic ? number(byteCount(run.traffic.bytes), "sent") : null,
      number(String(run.seed), "seed")),
    element("div", { class: "again" }, again, copy));
}

function faultsCard(run) {
  if (!run.faults.length) return null;
  const rows = run.faults.map((fault) => element("tr", {},
    element("td", {}, element("b", {}, fault.do)), element("td", {}, fault.when),
    element("td", {}, fault.fired ? duration(fault.at_ns) : "did not fire"),
    element("td", {}, fault.evidence + (fault.fired && !fault.changed ? " (no change)" : "")),
    element("td", {}, element("span", { class: `pill ${fault.as_expected ? "passed" : "failed"}` },
      fault.as_expected ? "as expected" : "unexpected"))));
  return card("Faults", "each with its evidence", element("div", { class: "body scroll" },
    element("table", { id: "faults" }, element("thead", {}, element("tr", {},
      ...["fault", "when", "fired at", "evidence", ""].map((name) => element("th", {}, name)))),
    element("tbody", {}, ...rows))));
}

function crashStory(crash) {
  const line = [crash.signal, crash.verb ? `its last verb was ${crash.verb}` : "", crash.core ? `core: ${crash.core}` : ""];
  const parts = [element("div", {}, line.filter((each) => each).join("; "))];
  if (crash.events.length) {
    parts.push(element("details", {}, element("summary", {}, "its last events in the fabric"), element("pre", {}, crash.events.join("\n"))));
  }
  return parts;
}

function ranksCard(run) {
  const rows = run.ranks.map((rank) => {
    const work = rank.operations.map((each) => `${each.op} x ${count(each.iterations)}${each.mismatch ? ` - ${each.mismatch}` : ""}`);
    const story = element("td", {});
    for (const text of [rank.error ? `${rank.error.code}: ${rank.error.message}` : "", rank.waited_for, ...work]) {
      if (text) story.append(element("div", {}, text));
    }
    if (rank.crash) story.append(...crashStory(rank.crash));
    if (rank.output_tail) {
      story.append(element("details", {}, element("summary", {}, "last output"), element("pre", {}, rank.output_tail)));
    }
    return element("tr", {}, element("td", {}, element("b", {}, String(rank.rank))), element("td", {}, rankEnding(rank)),
      element("td", { title: rank.backend_reason }, rank.backend || "-"), story);
  });
  return card("Ranks", null, element("div", { class: "body scroll" }, element("table", { id: "ranks" },
    element("thead", {}, element("tr", {}, ...["rank", "end", "backend", "what it did and waited for"].map((name) => element("th", {}, name)))),
    element("tbody", {}, ...rows))));
}

function factsCard(run) {
  const facts = [["File", run.file], ["Began", run.began_unix_ns ? new Date(run.began_unix_ns / 1e6).toLocaleString() : "-"],
    ["Stuck", run.stuck ? `yes, since ${duration(run.times_ns.last_progress)}` : "no"], ["Named by the verdict", run.verdict.names.join(", ") || "-"]];
  if (run.traffic) {
    facts.push(["Traced", `${count(run.traffic.messages_traced)} messages one by one, ${count(run.traffic.messages_kept)} kept` +
      (run.traffic.events_missed ? `; ${count(run.traffic.events_missed)} events came too fast to be read` : "")]);
  }
  facts.push(["Railyard", report.summary.railyard]);
  const body = element("div", { class: "body" }, element("dl", {}, ...facts.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)])));
  if (run.trace_tail.length) {
    body.append(element("details", {}, element("summary", {}, "last events of the fabric"), element("pre", {}, run.trace_tail.join("\n"))));
  }
  return card("Facts", null, body);
}

function showRun(run, main) {
  let timeline = null;
  const pick = (rank) => timeline && timeline.focusRank(rank);
  main.append(verdictCard(run));
  main.append(element("div", { class: "pair" }, topology(run, pick), waitGraph(run, pick)));
  if (run.record && run.record.ranks.length) {
    timeline = new Timeline(run);
    main.append(timeline.node);
  }
  const faults = faultsCard(run);
  if (faults) main.append(faults);
  main.append(element("div", { class: "pair" }, ranksCard(run), factsCard(run)));
  return timeline;
}
