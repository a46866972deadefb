// Draws the charts from JSON and keeps a page that ends "now" up to date, without losing the
// reader's place. Everything else on the page works without this file.
(() => {
  "use strict";
  const body = document.body;
  const root = body.dataset.root;
  const query = body.dataset.query;
  const dashes = [[], [7, 4], [2, 3]];
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const height = 150;
  const charts = new Map();
  let series = null;
  let loadedAt = performance.now();
  let hovered = false;

  const byId = (id) => document.getElementById(id);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  const digits = (value) => {
    if (value === 0) return "0";
    const size = Math.abs(value);
    return size >= 100 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(3)));
  };
  const formats = {
    rate: digits,
    share: (value) => digits(value * 100) + " %",
    seconds: (value) => value === 0 ? "0" : value < 1 ? digits(value * 1000) + " ms" : digits(value) + " s",
  };

  // ---- charts ---------------------------------------------------------------------------------

  // The newest points, which not every worker has told of yet, and points between two gaps: the
  // former are drawn hollow, and the latter would be no line at all.
  const dots = (plot, index) => {
    const values = plot.data[index];
    const open = values.length - series.partial;
    const found = [];
    values.forEach((value, at) => {
      if (value === null) return;
      if (at >= open || (values[at - 1] == null && values[at + 1] == null)) found.push(at);
    });
    return found;
  };

  const shadeIncidents = (plot) => {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.fillStyle = colour("--mark");
    for (const mark of series.marks) {
      const from = Math.max(plot.valToPos(mark.start, "x", true), bbox.left);
      const to = Math.min(plot.valToPos(mark.end, "x", true), bbox.left + bbox.width);
      if (to > from) ctx.fillRect(from, bbox.top, to - from, bbox.height);
    }
    ctx.restore();
  };

  // A line where each release was first seen, or was back, with its name where there is room.
  const drawReleases = (plot) => {
    const { ctx, bbox } = plot;
    const scale = devicePixelRatio;
    let free = Infinity;
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = colour("--release");
    ctx.lineWidth = scale;
    ctx.setLineDash([4 * scale, 3 * scale]);
    ctx.font = `${11 * scale}px system-ui, sans-serif`;
    ctx.textBaseline = "top";
    ctx.textAlign = "left";  // the axes leave their own behind
    for (const mark of series.releases) {
      const at = Math.round(plot.valToPos(mark.at, "x", true));
      if (at < bbox.left || at > bbox.left + bbox.width) continue;
      ctx.beginPath();
      ctx.moveTo(at, bbox.top);
      ctx.lineTo(at, bbox.top + bbox.height);
      ctx.stroke();
      const short = mark.release.length > 14 ? mark.release.slice(0, 12) + "…" : mark.release;
      const text = (mark.kind === "return" ? "↩ " : "") + short;
      const width = ctx.measureText(text).width + 4 * scale;
      const right = at + width <= bbox.left + bbox.width;
      const from = right ? at + 3 * scale : at - width;
      if (from + width > free) continue;
      ctx.fillText(text, from, bbox.top + scale);
      free = Math.min(at, from);
    }
    ctx.restore();
  };

  const go = (range, end) => {
    location.assign(`${root}/?range=${range}` + (end ? `&end=${end}` : ""));
  };

  const zoomIn = (plot) => {
    const { left, width } = plot.select;
    if (width < 6) return;
    const from = plot.posToVal(left, "x");
    const to = plot.posToVal(left + width, "x");
    go(`${Math.max(60, Math.round(to - from))}s`, Math.round(to));
  };

  const zoomOut = () => {
    const span = series.end - series.start;
    if (span * 2 >= 604800) go("7d");
    else go(`${Math.round(span * 2)}s`, Math.round(series.end + span / 2));
  };

  const options = (chart, width) => {
    const format = formats[chart.unit];
    const dim = colour("--dim");
    const axis = {
      stroke: dim,
      grid: { stroke: colour("--rule"), width: 1 },
      ticks: { show: false },
      font: "12px system-ui, sans-serif",
    };
    return {
      width,
      height,
      padding: [8, 18, 0, 0],
      tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "UTC"),
      cursor: {
        sync: { key: "watchkeeper" },
        y: false,
        drag: { x: true, y: false, setScale: false },
        bind: { dblclick: () => zoomOut },
      },
      scales: {
        x: { time: true, range: () => [series.start, series.end] },
        y: { range: (plot, low, high) => [0, high > 0 ? high * 1.12 : 1] },
      },
      axes: [
        { ...axis, size: 26, gap: 4, space: 60, values: [
          [86400, "{D} {MMM}", null, null, null, null, null, null, 1],
          [3600, "{HH}:{mm}", null, null, null, null, null, null, 1],
          [60, "{HH}:{mm}", null, null, null, null, null, null, 1],
          [1, "{HH}:{mm}:{ss}", null, null, null, null, null, null, 1],
        ] },
        { ...axis, size: 58, space: 26, values: (plot, ticks) => ticks.map(format) },
      ],
      series: [
        {
          label: "UTC",
          value: (plot, at) => at == null ? "" : new Date(at * 1000).toISOString().slice(11, 19) + " UTC",
        },
        ...chart.lines.map((line, index) => ({
          label: line.name,
          stroke: colour(`--line-${index + 1}`),
          width: 1.75,
          dash: dashes[index],
          spanGaps: false,
          value: (plot, value, which, at) => at == null ? "" : value == null ? "no data" : format(value),
          points: {
            show: true, size: 5, width: 1.5, fill: colour("--card"),
            filter: (plot, which) => dots(plot, which),
          },
        })),
      ],
      hooks: { drawClear: [shadeIncidents], draw: [drawReleases], setSelect: [zoomIn] },
    };
  };

  const data = (chart) => [series.times, ...chart.lines.map((line) => line.values)];

  const draw = (anew) => {
    for (const box of document.querySelectorAll("[data-chart]")) {
      const chart = series.charts[box.dataset.chart];
      const known = charts.get(box);
      if (known && !anew) {
        known.setData(data(chart));
        continue;
      }
      if (known) known.destroy();
      box.replaceChildren();
      charts.set(box, new uPlot(options(chart, box.clientWidth), data(chart), box));
    }
  };

  const fit = () => {
    for (const [box, plot] of charts) {
      if (box.clientWidth !== plot.width) plot.setSize({ width: box.clientWidth, height });
    }
  };

  // ---- refreshing -----------------------------------------------------------------------------

  const say = (text) => {
    const news = byId("news");
    if (news.textContent !== text) news.textContent = text;
  };

  const get = async (path) => {
    const answer = await fetch(`${root}${path}?${query}`, { credentials: "same-origin" });
    if (answer.status === 403) throw new Error("you are signed out; load the page again");
    if (!answer.ok) throw new Error(`the dashboard answered ${answer.status}`);
    return answer;
  };

  // A region is swapped as a whole; what had the focus in it gets it back in the new one.
  const swap = (fresh) => {
    const old = byId(fresh.id);
    if (!old || old.outerHTML === fresh.outerHTML) return;
    const active = old.contains(document.activeElement) ? document.activeElement : null;
    const all = "a, button, summary";
    const place = active ? [...old.querySelectorAll(all)].indexOf(active) : -1;
    const href = active && active.getAttribute("href");
    old.replaceWith(fresh);
    if (!active) return;
    const now = [...fresh.querySelectorAll(all)];
    const same = now.find((one) => href && one.getAttribute("href") === href) || now[place];
    if (same) same.focus({ preventScroll: true });
  };

  const showAge = () => {
    const age = document.querySelector("[data-age]");
    if (!age || age.dataset.age === "") return;
    const seconds = Number(age.dataset.age) + (performance.now() - loadedAt) / 1000;
    const stale = seconds > Number(age.dataset.stale);
    age.classList.toggle("stale", stale);
    age.textContent = stale ? `▲ no data since ${age.dataset.seen}` : `data ${Math.round(seconds)} s old`;
  };

  // What cannot be asked is unknown: the last answer must not stay on the page as if it held.
  const showTrouble = (reason) => {
    const status = byId("swap-status");
    status.className = "status unknown";
    status.dataset.level = "unknown";
    const line = byId("status-line");
    line.textContent = `■ UNKNOWN: no fresh figures, ${reason}.`;
    document.title = "■ unknown";
    say(line.textContent);
  };

  const refresh = async () => {
    try {
      const text = await (await get("/live")).text();
      const fresh = new DOMParser().parseFromString(text, "text/html");
      const before = byId("swap-status").dataset.level;
      series = await (await get("/api/v1/series.json")).json();
      for (const region of fresh.querySelectorAll("[data-swap]")) swap(document.adoptNode(region));
      loadedAt = performance.now();
      draw(false);
      const status = byId("swap-status");
      document.title = status.dataset.title;
      if (status.dataset.level !== before) say(byId("status-line").textContent);
    } catch (error) {
      showTrouble(error.message);
    }
    showAge();
  };

  const keepFresh = (every) => {
    let due = performance.now() + every;
    let busy = false;
    const look = async () => {
      if (busy || document.hidden || hovered || performance.now() < due) return;
      busy = true;
      await refresh();
      due = performance.now() + every;
      busy = false;
    };
    setInterval(look, 1000);
    document.addEventListener("visibilitychange", look);
  };

  const start = async () => {
    setInterval(showAge, 1000);
    try {
      series = await (await get("/api/v1/series.json")).json();
      draw(true);
    } catch (error) {
      showTrouble(error.message);
    }
    for (const box of document.querySelectorAll("[data-chart]")) {
      box.addEventListener("pointerenter", () => { hovered = true; });
      box.addEventListener("pointerleave", () => { hovered = false; });
    }
    new ResizeObserver(fit).observe(byId("main"));
    dark.addEventListener("change", () => { if (series) draw(true); });
    if (body.dataset.refresh) keepFresh(Number(body.dataset.refresh) * 1000);
  };

  start();
})();
