// What is shown where, and in which light.

let timeline = null;

function go(run) { location.hash = `#${run.index}`; }

function show() {
  const main = document.getElementById("main"), wanted = Number(location.hash.slice(1));
  const run = runs.length === 1 ? runs[0] : location.hash.length > 1 ? runs[wanted] : undefined;
  main.replaceChildren();
  hideTip();
  timeline = null;
  document.title = run ? `${run.name}: ${run.verdict.name} - Railyard` : "Railyard report";
  run ? timeline = showRun(run, main) : showOverview(main);
  markCurrent();
  scrollTo(0, 0);
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  document.getElementById("theme").textContent = theme === "dark" ? "\u2600" : "\u263e";
  colourCache.clear();
  if (timeline) timeline.resize();
}

function start() {
  const system = matchMedia("(prefers-color-scheme: dark)");
  let chosen = null;
  const themeOf = (media) => (media.matches ? "dark" : "light");
  setTheme(themeOf(system));
  system.addEventListener("change", () => { if (!chosen) setTheme(themeOf(system)); });
  document.getElementById("theme").addEventListener("click", () => {
    chosen = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    setTheme(chosen);
  });
  const { passed, failed, cut } = tally();
  const line = document.getElementById("tally");
  for (const [kind, amount, word] of [["passed", passed, "passed"], ["failed", failed, "failed"], ["cut", cut, "interrupted"]]) {
    if (amount) line.append(element("span", { class: `pill ${kind}` }, `${count(amount)} ${word}`));
  }
  if (runs.length > 1) listRuns(document.getElementById("runs"));
  addEventListener("hashchange", show);
  show();
}

start();
